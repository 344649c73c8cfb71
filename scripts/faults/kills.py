"""Processes that are killed, stopped, or too many."""

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from rethinking.analysis.collect import collect
from rethinking.analysis.collected import read_collected
from rethinking.data.load import load
from rethinking.errors import UserError
from rethinking.runs import workers
from rethinking.runs.store import RunStore
from scripts.faults.lab import BROKEN, DONE, Held, Lab, process, sweep


def kills_of_a_sweep(lab: Lab, count: int) -> Held:
    """`kill -9` of one of two processes that train one cell, at random moments; every third round a run is damaged."""
    held, runs = Held(), lab.new_store("kills")
    damaged: set[str] = set()
    while held.tried < count:
        two = [process(lambda: sweep(lab.job(runs, "checkpoint_minutes=1e-6"))) for _ in range(2)]
        time.sleep(lab.rng.random() * lab.seconds * 0.7)
        victim = two[lab.rng.integers(2)]
        os.kill(victim.pid, signal.SIGKILL)
        victim.join()
        killed = victim.exitcode == -signal.SIGKILL
        held.tried += killed
        if not killed:
            lab.seconds *= 0.8  # It was done before: the machine is quicker than it was.
        other = two[0] if victim is two[1] else two[1]
        other.join()
        held.expect(other.exitcode == DONE, f"the process beside it ended with {other.exitcode}")
        # The one that was killed may have held what was damaged before.
        states = {entry.state for entry in RunStore(runs).entries() if entry.run_id not in damaged}
        held.expect(states <= {"done"}, f"after a kill there is {states}")
        wrong = lab.differing(runs)
        held.expect(not wrong, f"differ from an undisturbed run: {wrong}")
        if held.tried % 3 == 0:
            shutil.rmtree(runs)
            damaged = set()
        else:
            # So that the next round replaces runs.
            damaged = {str(run) for run in lab.rng.permutation(sorted(lab.expected))[:3]}
            for run in damaged:
                _damage(runs / run)
    lab.finish(runs, held)
    return held


def _damage(run: Path) -> None:
    for file in run.glob("result.json"):
        file.write_bytes(file.read_bytes()[:40])


def kills_of_a_collection(lab: Lab, count: int) -> Held:
    """`kill -9` of a process that collects a store into a results folder, and replaces what is there."""
    held, runs, results = Held(), lab.filled_store("collected"), lab.folder / "results"

    def collecting() -> int:
        while True:
            collect(RunStore(runs), results)

    collect(RunStore(runs), results)
    while held.tried < count:
        held.tried += 1
        kill_after(lab, collecting, 0.4)
        problems: list[str] = []
        try:
            problems = read_collected(results).problems
        except UserError as error:  # Between two renames: the same command puts the rest in place.
            held.expect("nothing is lost" in str(error), f"after a kill: {error}")
        collect(RunStore(runs), results)
        made = read_collected(results)
        whole = set(made.runs["run_id"]) == set(lab.expected) and not made.problems
        held.expect(not problems and whole, f"after a kill: {problems or made.problems}")
    return held


def kills_of_a_cache(lab: Lab, count: int) -> Held:
    """`kill -9` of a process that writes the cache of a data set again and again."""
    held = Held()
    job = lab.job(lab.folder / "none", "dataset=control_local", "splits=null")
    content = load(job.cell.dataset, job.places).fingerprint
    processed = Path(job.places.cache_folder) / "processed"

    def caching() -> int:
        while True:
            for folder in processed.glob("control_local-*"):
                shutil.rmtree(folder, ignore_errors=True)
            load(job.cell.dataset, job.places)

    while held.tried < count:
        held.tried += 1
        kill_after(lab, caching, 2.0)
        held.expect(load(job.cell.dataset, job.places).fingerprint == content, "the cache gives something else")
    left = [path.name for path in processed.glob(".*")]
    load(job.cell.dataset, job.places)
    held.expect(len(left) <= 1, f"left over: {left}")
    return held


def kill_after(lab: Lab, work: Any, seconds: float) -> None:
    """Start a process and kill it at a random moment."""
    started = process(work)
    time.sleep(lab.rng.random() * seconds)
    os.kill(started.pid, signal.SIGKILL)
    started.join()


def eight_processes(lab: Lab, count: int) -> Held:
    """Eight processes train one cell at once; each run is trained once."""
    held = Held()
    for _ in range(count):
        held.tried += 1
        runs = lab.new_store("eight")
        eight = [process(lambda: sweep(lab.job(runs))) for _ in range(8)]
        for started in eight:
            started.join()
        held.expect(all(started.exitcode == DONE for started in eight), f"ended with {[p.exitcode for p in eight]}")
        lab.finish(runs, held)
    return held


def two_hosts(lab: Lab, count: int) -> Held:
    """Two processes on hosts that see no locks of each other, one is killed; the other inherits after a silence."""
    held = Held()
    workers.BEAT, workers.SILENCE = 0.05, 2.0
    try:
        for _ in range(count):
            runs = lab.new_store("hosts")

            def far() -> int:
                workers.host_id = lambda: "far"  # type: ignore[assignment]
                return sweep(lab.job(runs))

            one, other = process(far), process(lambda: sweep(lab.job(runs)))
            time.sleep(lab.rng.random() * lab.seconds * 0.7)
            os.kill(one.pid, signal.SIGKILL)
            one.join()
            other.join()
            held.tried += 1
            held.expect(other.exitcode == DONE, f"ended with {other.exitcode}")
            done = [entry for entry in RunStore(runs).entries() if entry.state == "done"]
            held.expect(len(done) == len(lab.expected), f"{len(done)} of {len(lab.expected)} were done by the other")
            time.sleep(workers.SILENCE)
            store = RunStore(runs)
            for name in store.workers.names():
                store.workers.is_dead_at_last(name)
            store.check_writable()
            lab.finish(runs, held)
    finally:
        workers.BEAT, workers.SILENCE = 5.0, 120.0
    return held


def stopped(lab: Lab, count: int) -> Held:
    """SIGSTOP of one of two processes for a while; it goes on with what it holds, and nothing is trained twice."""
    held = Held()
    for _ in range(count):
        runs = lab.new_store("stopped")
        one, other = (process(lambda: sweep(lab.job(runs))) for _ in range(2))
        time.sleep(lab.rng.random() * lab.seconds * 0.3)
        os.kill(one.pid, signal.SIGSTOP)
        time.sleep(0.5)
        os.kill(one.pid, signal.SIGCONT)
        one.join()
        other.join()
        held.tried += 1
        held.expect(BROKEN not in (one.exitcode, other.exitcode), f"ended with {one.exitcode} and {other.exitcode}")
        lab.finish(runs, held)
    return held
