"""Shows how a job gets on: a live line on a terminal, now and then a plain one in a log."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from rethinking.analysis.units import unit_of

if TYPE_CHECKING:
    from rethinking.runs.execute import Outcome
    from rethinking.training.state import GroupState

LOG_EVERY_SECONDS = 30.0
Item = TypeVar("Item")


def track(items: Sequence[Item], title: str) -> Iterator[Item]:
    """The items one after another, with a bar on a terminal and now and then a line in a log."""
    console = Console(stderr=True)
    logged = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=10), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        for done, item in enumerate(progress.track(items, description=title)):
            if not console.is_terminal and time.monotonic() - logged > LOG_EVERY_SECONDS:
                logged = time.monotonic()
                print(f"{title}: {done / len(items):.0%}", file=sys.stderr, flush=True)
            yield item


class JobProgress(AbstractContextManager["JobProgress"]):
    """Progress over the seeds of one job. Call it after every epoch.

    The bar is the share of all epochs that may be needed; a seed that stops early counts as complete.
    """

    def __init__(self, title: str, seeds: int, max_epochs: int) -> None:
        self.title = title
        self.seeds = seeds
        self.max_epochs = max_epochs
        self._logged = time.monotonic()
        console = Console(stderr=True)
        self._on_terminal = console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not self._on_terminal,
            transient=True,
        )
        self._task = self._progress.add_task(title, total=seeds * max_epochs, note="")

    def __enter__(self) -> "JobProgress":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, group: "GroupState", outcome: "Outcome") -> None:
        """Show the replicas that still train, and how many seeds are done."""
        done = len(outcome.kept) + len(outcome.trained) + len(outcome.failed) + len(outcome.elsewhere)
        metric = metric_of(group)
        unit = unit_of(metric)
        now = unit.scale * np.mean(group.latest(f"val_{metric}"))
        note = f"epoch {group.epoch}, {done}/{self.seeds} done, val {now:.{unit.digits}f}"
        self._progress.update(self._task, completed=done * self.max_epochs + len(group.seeds) * group.epoch, note=note)
        if not self._on_terminal and time.monotonic() - self._logged > LOG_EVERY_SECONDS:
            self._logged = time.monotonic()
            print(f"{self.title}: {note}", file=sys.stderr, flush=True)


def closing_line(outcome: "Outcome", seeds: int) -> str:
    """What became of a job."""
    done = len(outcome.trained) + len(outcome.kept)
    parts = [f"{len(outcome.trained)} trained", f"{len(outcome.kept)} done before"]
    parts += [f"{len(outcome.failed)} FAILED"] if outcome.failed else []
    parts += [f"{len(outcome.elsewhere)} being trained by another process"] if outcome.elsewhere else []
    return f"{outcome.title}: {done}/{seeds} seeds done ({', '.join(parts)})"


def metric_of(group: "GroupState") -> str:
    """The name of the validation metric in a group's histories."""
    names = [name[4:] for name in group.histories[0][-1] if name.startswith("val_") and name != "val_loss"]
    return names[0]
