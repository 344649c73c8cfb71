"""Full, read-only and foreign disks, few open files, clocks that jump."""

import os
import resource
import shutil
import time
from pathlib import Path

import numpy as np

from rethinking.analysis.collect import collect
from rethinking.analysis.collected import read_collected
from rethinking.errors import UserError
from rethinking.runs.store import RunStore
from scripts.faults.lab import DONE, LOST, TOLD, Held, Lab, process, small_disk, sweep

NEEDS_ROOT = "needs root, for a file system of its own"
NOBODY = 65534


def full_disk_of_a_sweep(lab: Lab, count: int) -> Held:
    """A disk that is full after some KiB more, another number each time, while a cell trains."""
    held = Held()
    with small_disk(4096) as disk:
        if disk is None:
            return Held(remark=NEEDS_ROOT)
        for number in range(count):
            runs = disk / "runs"
            shutil.rmtree(runs, ignore_errors=True)
            started = process(lambda: _sweep_on_a_full_disk(lab, runs, 12 * number))
            started.join()
            held.tried += 1
            held.expect(started.exitcode in (DONE, LOST, TOLD), f"ended with {started.exitcode}")
            (disk / "filling").unlink(missing_ok=True)
            states = {entry.state for entry in RunStore(runs).entries()}
            held.expect(states <= {"done"}, f"on a full disk there is {states}")
            lab.finish(runs, held)
    return held


def _sweep_on_a_full_disk(lab: Lab, runs: Path, kib: int) -> int:
    runs.mkdir()
    disk = runs.parent
    free = shutil.disk_usage(disk).free
    (disk / "filling").write_bytes(bytes(max(0, free - 1024 * kib)))
    return sweep(lab.job(runs, "checkpoint_minutes=1e-6"))


def full_disk_of_a_collection(lab: Lab, count: int) -> Held:
    """The same while a store is collected into a results folder on it: the folder stays as it was, or is new."""
    held, runs = Held(), lab.filled_store("collected")
    one = sorted(lab.expected)[0]
    few = lab.new_store("few")
    few.mkdir()
    shutil.copytree(runs / one, few / one)
    with small_disk(4096) as disk:
        if disk is None:
            return Held(remark=NEEDS_ROOT)
        for number in range(count):
            results = disk / "results"
            shutil.rmtree(results, ignore_errors=True)
            collect(RunStore(few), results)
            free = shutil.disk_usage(disk).free
            (disk / "filling").write_bytes(bytes(max(0, free - 4096 * number)))
            started = process(lambda: _collect(runs, results))
            started.join()
            held.tried += 1
            held.expect(started.exitcode in (DONE, TOLD), f"ended with {started.exitcode}")
            (disk / "filling").unlink()
            there = set(read_collected(results).runs["run_id"])
            whole = set(lab.expected) if started.exitcode == DONE else {one}
            held.expect(there == whole, f"the folder has {len(there)} runs after status {started.exitcode}")
    return held


def _collect(runs: Path, results: Path) -> int:
    collect(RunStore(runs), results)
    return DONE


def read_only_store(lab: Lab, count: int) -> Held:
    """A store on a file system that is read-only: one sentence, and what is in it can be read."""
    held = Held()
    with small_disk(8192) as disk:
        if disk is None:
            return Held(remark=NEEDS_ROOT)
        shutil.copytree(lab.filled_store("full"), disk / "runs")
        if os.system(f"mount -o remount,ro {disk}"):
            return Held(remark="the file system cannot be made read-only")
        for _ in range(count):
            held.tried += 1
            started = process(lambda: sweep(lab.job(disk / "runs")))
            started.join()
            held.expect(started.exitcode == TOLD, f"ended with {started.exitcode}")
            held.expect(not lab.differing(disk / "runs"), "what is there reads differently")
        os.system(f"mount -o remount,rw {disk}")
    return held


def foreign_store(lab: Lab, count: int) -> Held:
    """A store of another user, who may only read it."""
    if os.geteuid():
        return Held(remark="needs root, to become another user")
    held = Held()
    with small_disk(65536) as disk:
        if disk is None:
            return Held(remark=NEEDS_ROOT)
        disk.chmod(0o755)
        shutil.copytree(lab.filled_store("full"), disk / "runs")
        shutil.copytree(lab.folder / "splits", disk / "splits")
        shutil.copytree(lab.folder / "cache", disk / "cache")

        def other() -> int:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            own = [f"splits={disk / 'splits'}", f"data.cache={disk / 'cache'}"]
            return sweep(lab.job(disk / "runs", *own))

        for _ in range(count):
            held.tried += 1
            started = process(other)
            started.join()
            held.expect(started.exitcode == TOLD, f"ended with {started.exitcode}")
        held.expect(not lab.differing(disk / "runs"), "what is there reads differently")
    return held


def few_open_files(lab: Lab, count: int) -> Held:
    """64 open files for a process that trains 300 seeds, all of one group."""
    held = Held()
    for _ in range(count):
        runs = lab.new_store("many")

        def many() -> int:
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
            return sweep(lab.job(runs, "seeds=300", "replicas=300", "trainer.max_epochs=1", "diagnosed_graphs=0"))

        started = process(many)
        started.join()
        held.tried += 1
        held.expect(started.exitcode == DONE, f"ended with {started.exitcode}")
        done = sum(entry.state == "done" for entry in RunStore(runs).entries())
        held.expect(done == 300, f"{done} of 300 seeds are done")
    return held


def clock_jumps(lab: Lab, count: int) -> Held:
    """A clock that jumps by days, forward and back, whenever it is looked at, for one of two processes."""
    held = Held()
    for number in range(count):
        runs = lab.new_store("clock")

        def jumping(seed: int = number) -> int:
            rng, real = np.random.default_rng(seed), time.time
            time.time = lambda: real() + rng.normal() * 1e6  # type: ignore[assignment]
            return sweep(lab.job(runs))

        both = [process(jumping), process(lambda: sweep(lab.job(runs)))]
        for started in both:
            started.join()
        held.tried += 1
        held.expect(all(p.exitcode == DONE for p in both), f"ended with {[p.exitcode for p in both]}")
        lab.finish(runs, held)
    return held


def full_disk_before_any_work(lab: Lab, count: int) -> Held:
    """A disk without any room: refused in one sentence before anything trains."""
    held = Held()
    with small_disk(64) as disk:
        if disk is None:
            return Held(remark=NEEDS_ROOT)
        (disk / "filling").write_bytes(bytes(shutil.disk_usage(disk).free))
        for _ in range(count):
            held.tried += 1
            try:
                sweep(lab.job(disk / "runs"))
                held.expect(False, "something was trained")
            except UserError as error:
                held.expect(str(error).count("\n") == 0, f"more than a sentence: {error}")
    return held
