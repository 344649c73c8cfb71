"""States of groups that train, so that a long cell goes on after a kill where it was: `.checkpoints/` of a run store.

    .checkpoints/CELL-sSEED-GROUP.pt    the SHA-256 of what follows, and a group's state after an epoch

SEED is the first of a group, and GROUP stands for all of its seeds, so that no group writes over another's state.

A state is kept in memory after every epoch, and written every so many minutes and when the process is told to end; it
is gone when its group is done. What is read is data: tensors, numbers and texts, and only under their checksum.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from rethinking.errors import UserError
from rethinking.runs.checked import read_checked, write_checked
from rethinking.runs.interrupted import NAME, SUFFIX, cell_of, file_name, files_of
from rethinking.runs.outcome import is_of_surroundings
from rethinking.training.saved import seeds_of
from rethinking.training.state import GroupState, copied

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Saved:
    """A checkpoint. state: what `GroupState.state_dict` gave. elapsed: seconds of wall time that it took to get there.

    title: of the cell, in words. group: the seeds that began together. conditions: what must be the same for
    the numbers to be the same, the versions of the program and of what it computes with. platform: what may not be, but
    then their last digits differ.
    """

    path: Path
    title: str
    state: Mapping[str, Any]
    elapsed: float
    group: list[int]
    conditions: Mapping[str, Any]
    platform: Mapping[str, Any]

    @property
    def cell_id(self) -> str:
        """Of which cell."""
        return cell_of(self.path)

    @property
    def seeds(self) -> list[int]:
        """Those that still trained, some of which may be done meanwhile."""
        return seeds_of(self.state)

    @property
    def epoch(self) -> int:
        """The last whole one."""
        return self.state["epoch"]

    def remove(self) -> None:
        """For a group that is done."""
        with suppress(OSError):
            self.path.unlink()


def kept(store: Path) -> list[Saved]:
    """All that a store has, of groups that train, too, but for what is damaged."""
    found = []
    for path in files_of(store):
        with suppress(OSError, UserError):
            found.append(_read(path))
    return found


class Checkpoints:
    """Those of one cell in a store."""

    def __init__(
        self,
        store: Path,
        cell_id: str,
        title: str,
        conditions: Mapping[str, Any],
        platform: Mapping[str, Any],
        every: float,
    ) -> None:
        """conditions, platform: of this process, see `Saved`. every: seconds from one to the next; 0 for none, ever."""
        self._title = title
        self._folder = store / NAME
        self._cell = cell_id
        self._origin = {"conditions": dict(conditions), "platform": dict(platform)}
        self._every = every

    def unlike(self, saved: Saved) -> list[str]:
        """In which conditions one was trained that are others here: it cannot be gone on from if there are any."""
        return _unlike(saved.conditions, self._origin["conditions"])

    def elsewhere(self, saved: Saved) -> list[str]:
        """What of the platform is not as it was."""
        return _unlike(saved.platform, self._origin["platform"])

    def find(self) -> Iterator[Saved]:
        """All that there are. One that is damaged is removed."""
        for path in sorted(self._folder.glob(f"{self._cell}-s*{SUFFIX}")):
            try:
                yield _read(path)
            except OSError:
                continue
            except UserError:
                with suppress(OSError):
                    path.unlink()

    def of_group(self, seeds: list[int], saved: Saved | None) -> "Checkpoint":
        """The checkpoint of a group that is about to train. saved: from which it goes on, if from any."""
        path = saved.path if saved else self._folder / file_name(self._cell, seeds)
        # What a killed process has left; these seeds are held by this one.
        for leftover in self._folder.glob(f".{path.name}.*"):
            with suppress(OSError):
                leftover.unlink()
        origin = {**self._origin, "title": self._title, "group": saved.group if saved else list(seeds)}
        return Checkpoint(path, origin, self._every, saved.elapsed if saved else 0.0)


class Checkpoint:
    """The state of one group, while it trains: in memory after every epoch, on disk now and then.

    As a context: written once more if the group is interrupted, and removed if it comes to an end.
    """

    def __init__(self, path: Path, origin: Mapping[str, Any], every: float, elapsed: float) -> None:
        self._path = path
        self._origin = origin
        self._every = every
        self._started = time.monotonic() - elapsed
        self._written = time.monotonic()
        self._last: dict[str, Any] | None = None
        self._left = False
        self.problem = ""
        """Why it could not be written the last time, if it could not."""

    @property
    def elapsed(self) -> float:
        """Seconds of wall time since the group began, those before it was interrupted included."""
        return time.monotonic() - self._started

    def note(self, state: GroupState) -> None:
        """Keep the state after an epoch, and write it if it is time to."""
        if not self._every:
            return
        self._last = {"state": copied(state.state_dict(), CPU), "elapsed": self.elapsed, **self._origin}
        if time.monotonic() - self._written >= self._every:
            self.write()

    def write(self) -> None:
        """Write the state after the last whole epoch; what cannot be written costs no run."""
        if self._last is None:
            return
        try:
            write_checked(self._path, self._last)
            self.problem = ""
        except OSError as error:
            self.problem = str(error)
        self._written = time.monotonic()

    def leave(self) -> None:
        """Touch it no more: another process goes on with the group."""
        self._last, self._every, self._left = None, 0, True

    def __enter__(self) -> "Checkpoint":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._left:
            return
        if is_of_surroundings(error) or (kind is not None and not issubclass(kind, Exception)):
            self.write()
            return
        # Done; or failed, and what fails is not gone on with.
        with suppress(OSError):
            self._path.unlink()


def _unlike(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def _read(path: Path) -> Saved:
    """Raises OSError if it cannot be read, UserError if it is none."""
    whole = read_checked(path)
    try:
        # Earlier versions said neither of the group nor of the platform, nor of what it is.
        group = seeds_of({"seeds": whole.get("group", seeds_of(whole["state"]))})
        platform = dict(whole.get("platform", {}))
        saved = Saved(
            path,
            str(whole.get("title", "")),
            whole["state"],
            float(whole["elapsed"]),
            group,
            dict(whole["conditions"]),
            platform,
        )
        if not set(saved.seeds) <= set(group) or type(saved.state["epoch"]) is not int:
            raise UserError("its seeds are none of its group, or it has no epoch")
    except Exception as error:  # Anything may be missing in a file that is none of its own, or be something else.
        raise UserError(f"{path} holds no checkpoint: {error}") from error
    return saved
