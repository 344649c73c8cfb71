"""Shows how a job gets on: a live line on a terminal, now and then a plain one in a log."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

LOG_EVERY_SECONDS = 30.0
MINUTE, HOUR = 60, 3600
Item = TypeVar("Item")


class TrainingState(Protocol):
    """What is asked of the seeds that train together, after an epoch."""

    @property
    def epoch(self) -> int:
        """The epoch that has just ended, from 1."""
        ...

    @property
    def seeds(self) -> Sequence[int]:
        """The seeds that still train."""
        ...

    def best(self, name: str, higher_is_better: bool) -> list[float]:
        """The best value so far of a column of the history, of each of these seeds."""
        ...


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
    metric: whose best validation score is shown. show: a score as one reads it. live: whether a terminal is this job's
    own; several jobs in one write lines as in a log.
    """

    def __init__(
        self, title: str, seeds: int, max_epochs: int, metric: str, higher_is_better: bool,
        show: Callable[[float], str], live: bool = True,
    ) -> None:  # fmt: skip
        self.title = title
        self.seeds = seeds
        self.max_epochs = max_epochs
        self.metric = metric
        self.higher_is_better = higher_is_better
        self.show = show
        self._logged = time.monotonic()
        # When the first epoch had ended, and the epochs of all seeds since then.
        self._began: float | None = None
        self._trained = 0
        console = Console(stderr=True)
        self._on_terminal = console.is_terminal and live
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

    def __call__(self, state: TrainingState, done: int) -> None:
        """Show the seeds that still train. done: how many need no more work."""
        scores = state.best(f"val_{self.metric}", self.higher_is_better)
        mean = self.show(sum(scores) / len(scores))
        completed = done * self.max_epochs + len(scores) * state.epoch
        note = f"epoch {state.epoch}, {len(scores)} together, {done}/{self.seeds} done, best val {mean}"
        note += self._time_left(len(scores), completed)
        self._progress.update(self._task, completed=completed, note=note)
        if not self._on_terminal and time.monotonic() - self._logged > LOG_EVERY_SECONDS:
            self._logged = time.monotonic()
            print(f"{self.title}: {note}", file=sys.stderr, flush=True)

    def _time_left(self, seeds: int, completed: int) -> str:
        """At the rate of this job so far, if no seed stops early; nothing is known after the first epoch."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
            return ""
        self._trained += seeds
        left = self.seeds * self.max_epochs - completed
        return f", at most {in_words((now - self._began) / self._trained * left)} left"


def in_words(seconds: float) -> str:
    """A time that nobody knows to the second."""
    if seconds < 1.5 * MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 1.5 * HOUR:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.1f} h" if seconds < 10 * HOUR else f"{seconds / HOUR:.0f} h"
