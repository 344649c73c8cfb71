"""What all storms share: a small cell, what it gives undisturbed, processes to be killed, and what must hold."""

import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rethinking.configuration.composition import compose_job
from rethinking.configuration.settings import Settings
from rethinking.data.load import load
from rethinking.errors import UserError
from rethinking.runs.execute import execute
from rethinking.runs.outcome import Outcome
from rethinking.runs.store import Entry, RunStore

FORK = multiprocessing.get_context("fork")
GRAPHS, PARTS = 60, (40, 10, 10)
CELL = ("model=graclus", "pooling=learned", "dataset=digits", "trainer.max_epochs=6", "trainer.batch_size=16")
# How a process ends: all done, some runs lost to the surroundings or failed, told in one sentence, or none of these.
DONE, LOST, TOLD, BROKEN = 0, 1, 2, 70
HIDDEN = (".tmp", ".claims", ".workers", ".checkpoints")


@dataclass
class Held:
    """What did not hold in a storm. tried: how often. remark: why it could not be tried, or what was measured."""

    tried: int = 0
    problems: list[str] = field(default_factory=list)
    remark: str = ""

    def expect(self, condition: bool, problem: str) -> None:
        """Note a problem unless the condition holds."""
        if not condition:
            self.problems.append(problem)


class Lab:
    """A cell of few graphs, with `seeds` seeds that train one by one, so that each result is the same to the bit."""

    def __init__(self, folder: Path, seeds: int = 6) -> None:
        self.folder = folder
        self.rng = np.random.default_rng(0)
        splits = folder / "splits"
        splits.mkdir(parents=True)
        parts = np.repeat(["train", "val", "test"], PARTS)
        pd.DataFrame({"graph": np.arange(0, 10 * GRAPHS, 10), "part": parts}).to_csv(splits / "digits.csv", index=False)
        self.words = [*CELL, f"splits={splits}", "replicas=1", f"seeds={seeds}", f"data.cache={folder / 'cache'}"]
        self._undisturbed = folder / "undisturbed"
        job = self.job(self._undisturbed)
        load(job.cell.dataset, job.places)
        began = time.monotonic()
        execute(job, lambda state, settled: None)
        self.seconds = time.monotonic() - began
        """That the cell takes."""
        self.expected = self.results(self._undisturbed)
        assert len(self.expected) == seeds

    def job(self, runs: Path, *more: str) -> Settings:
        """The cell in a store."""
        return replace(compose_job([*self.words, *more]), runs=runs)

    def new_store(self, name: str) -> Path:
        """An empty folder for one."""
        runs = self.folder / name
        shutil.rmtree(runs, ignore_errors=True)
        return runs

    def filled_store(self, name: str) -> Path:
        """A store that has all of the cell."""
        runs = self.new_store(name)
        shutil.copytree(self._undisturbed, runs)
        return runs

    def results(self, runs: Path) -> dict[str, tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]]:
        """Curves, predictions and scores of the finished runs of a store."""
        store = RunStore(runs)
        return {
            entry.run_id: (store.history(entry.run_id), store.predictions(entry.run_id), _scores(entry))
            for entry in store.entries()
            if entry.state == "done"
        }

    def differing(self, runs: Path) -> list[str]:
        """The finished runs of a store that are not what they are undisturbed, to the bit."""
        wrong = []
        for run, (history, predictions, scores) in self.results(runs).items():
            wanted = self.expected.get(run)
            same = wanted is not None and history.equals(wanted[0]) and predictions.equals(wanted[1])
            if not same or scores != wanted[2]:  # type: ignore[index]
                wrong.append(run)
        return wrong

    def finish(self, runs: Path, held: Held, *more: str) -> Outcome:
        """The same command once more, undisturbed: after it everything is there, equal, and nothing else is."""
        outcome = execute(self.job(runs, *more), lambda state, settled: None)
        states = {entry.run_id: entry.state for entry in RunStore(runs).entries()}
        held.expect(states == dict.fromkeys(self.expected, "done"), f"at the end there is {states}")
        wrong = self.differing(runs)
        held.expect(not wrong, f"differ from an undisturbed run: {', '.join(wrong)}")
        left = [str(path) for name in HIDDEN for path in (runs / name).glob("*")]
        held.expect(not left, f"left over: {', '.join(left)}")
        return outcome


def _scores(entry: Entry) -> dict[str, Any]:
    return {
        key: entry.record[key] for key in entry.record if key.startswith(("test_", "val_", "train_", "diagnostic_"))
    }


def process(work: Callable[[], int]) -> Any:
    """A process that does some work and ends with the status that it returns; what it says goes nowhere."""

    def run() -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        try:
            status = work()
        except UserError:
            status = TOLD
        except KeyboardInterrupt:
            status = 130
        except BaseException:
            status = BROKEN
        sys.stdout.flush()
        os._exit(status)

    started = FORK.Process(target=run)
    started.start()
    return started


def sweep(job: Settings) -> int:
    """One command. Returns how it ended."""
    outcome = execute(job, lambda state, settled: None)
    return LOST if outcome.failed or outcome.lost else DONE


@contextmanager
def small_disk(kib: int) -> Iterator[Path | None]:
    """A file system of its own of some size; None where it cannot be made, which only root may."""
    folder = Path(tempfile.mkdtemp())
    command = f"mount -t tmpfs -o size={kib}k rethinking {folder}"
    if os.geteuid() or os.system(f"{command} 2> {os.devnull}"):
        folder.rmdir()
        yield None
        return
    try:
        yield folder
    finally:
        os.system(f"umount -l {folder}")
        folder.rmdir()
