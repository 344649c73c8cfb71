"""Where a part of a scorecard is that takes hours: a file beside the scorecards, from which it goes on after a kill.

It is written every so many minutes, and gone when the run that it is of is done. As with a checkpoint, what is read is
data, and is used under the same conditions only, so that the numbers are those of a run that was left alone.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rethinking.errors import UserError
from rethinking.runs import provenance
from rethinking.runs.checked import read_checked, write_checked


@dataclass(frozen=True)
class Saved:
    """run: which one of its part. seconds: of wall time and of the processor, that it took to get there.

    conditions: what must be the same for the numbers to be the same. state: what `fit` gave.
    """

    run: int
    seconds: tuple[float, float]
    conditions: Mapping[str, Any]
    state: Mapping[str, Any]


class Snapshot:
    """That of one part, on behalf of one process; of the run that it was last told of."""

    def __init__(self, path: Path, every: float) -> None:
        """every: seconds from one to the next."""
        self._path, self._every = path, every
        self._run, self._began, self._written = 0, _now(), time.monotonic()
        self._saved = _read(path)

    def of_run(self, run: int) -> "Snapshot":
        """From now on it is of this run."""
        self._run, self._began = run, _now()
        return self

    @property
    def seconds(self) -> tuple[float, float]:
        """What the run took, of wall time and of the processor, before this process; zeros if it begins now."""
        return self._own.seconds if self._own else (0.0, 0.0)

    def state(self) -> Mapping[str, Any] | None:
        """Where the run was, see `Resumable`."""
        return self._own.state if self._own else None

    def note(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Write where the run is if it is time to; what cannot be written costs no run."""
        if time.monotonic() - self._written < self._every:
            return
        wall, processor = (was + now - began for was, now, began in zip(self.seconds, _now(), self._began, strict=True))
        content = {"run": self._run, "seconds": [wall, processor], "conditions": provenance.program(), "state": state()}
        with suppress(OSError):
            write_checked(self._path, content)
        self._written = time.monotonic()

    def remove(self) -> None:
        """For a run that is done, or failed: what fails is not gone on with."""
        with suppress(OSError):
            self._path.unlink()

    @property
    def _own(self) -> Saved | None:
        """What was saved of this run."""
        return self._saved if self._saved and self._saved.run == self._run else None


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _read(path: Path) -> Saved | None:
    """None if there is none, if it is damaged, and if it was made under other conditions."""
    try:
        whole = read_checked(path)
        wall, processor = whole["seconds"]
        saved = Saved(int(whole["run"]), (float(wall), float(processor)), dict(whole["conditions"]), whole["state"])
    except (OSError, UserError, KeyError, TypeError, ValueError):
        return None
    return saved if saved.conditions == provenance.program() else None
