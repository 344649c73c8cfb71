"""What goes wrong within training: numbers that are none, memory that is not there; and an hour of it."""

import gc
import time
from contextlib import suppress

import psutil
import torch

from rethinking.runs import execute as execution
from rethinking.runs.execute import execute
from rethinking.runs.store import RunStore
from scripts.faults.lab import Held, Lab

MIB = 2**20


def not_a_number(lab: Lab, count: int) -> Held:
    """One seed of a group becomes NaN after some epoch: it fails alone, and the others are as they would have been."""
    held, seeds = Held(), len(lab.expected)
    together = lab.new_store("together")
    execute(lab.job(together, f"replicas={seeds}"), lambda state, settled: None)
    wanted = lab.results(together)
    for number in range(count):
        epoch, seed = 1 + number % 5, int(lab.rng.integers(seeds))
        runs = lab.new_store("nan")

        def spoil(state, settled, epoch=epoch, seed=seed):  # type: ignore[no-untyped-def]
            if state.epoch == epoch and seed in state.seeds:
                state.parameters[state.seeds.index(seed)] = torch.nan

        outcome = execute(lab.job(runs, f"replicas={seeds}"), spoil)
        held.tried += 1
        held.expect(list(outcome.failed) == [seed], f"failed: {list(outcome.failed)} for {seed}")
        held.expect("not a finite number" in "".join(outcome.failed.values()), "the reason is not said")
        for run, (history, predictions, scores) in lab.results(runs).items():
            same = history.equals(wanted[run][0]) and predictions.equals(wanted[run][1]) and scores == wanted[run][2]
            held.expect(same, f"{run} differs, as seed {seed} failed after epoch {epoch}")
    return held


def out_of_memory(lab: Lab, count: int) -> Held:
    """No memory for a whole group, at some epoch: it is tried again with fewer seeds, down to one."""
    held, seeds = Held(), len(lab.expected)
    real = execution.replicas_at_once
    execution.replicas_at_once = lambda dataset, batch_size: seeds
    try:
        for number in range(count):
            runs, epoch, room = lab.new_store("memory"), 1 + number % 5, 1 + number % 3

            def fill(state, settled, epoch=epoch, room=room):  # type: ignore[no-untyped-def]
                if state.epoch == epoch and len(state.seeds) > room:
                    raise torch.OutOfMemoryError("DefaultCPUAllocator: can't allocate memory")

            outcome = execute(lab.job(runs, "replicas=auto"), fill)
            held.tried += 1
            held.expect(sorted(outcome.trained) == list(range(seeds)), f"trained: {outcome.trained}")
            if room == 1:
                wrong = lab.differing(runs)
                held.expect(not wrong, f"differ from an undisturbed run: {wrong}")
    finally:
        execution.replicas_at_once = real
    return held


def soak(lab: Lab, minutes: int) -> Held:
    """One process that trains, reads and replaces for this many minutes; its memory does not grow."""
    held, runs = Held(), lab.new_store("soak")
    process, end = psutil.Process(), time.monotonic() + 60 * minutes
    used: list[float] = []
    while time.monotonic() < end or len(used) < 4:
        for run in list(lab.expected)[:3]:
            with suppress(OSError):
                (runs / run / "result.json").unlink()
        execute(lab.job(runs), lambda state, settled: None)
        RunStore(runs).entries()
        gc.collect()
        used.append(process.memory_info().rss / MIB)
        held.tried += 1
    quarter = max(1, len(used) // 4)
    # The first quarter fills caches.
    second, last = max(used[quarter : 2 * quarter]), max(used[-quarter:])
    held.remark = (
        f"{held.tried} sweeps in {minutes} minutes; {second:.0f} MiB in the second quarter, {last:.0f} in the last"
    )
    held.expect(last < 1.05 * second + 8, "memory grew")
    lab.finish(runs, held)
    return held
