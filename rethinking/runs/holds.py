"""What the processes at work on a store hold, so that no two do the same at the same time.

    .claims/NAME/WORKER     what the holder tells of it

A name is free if its folder is not there or empty. It is taken by renaming a folder with one file to it, which a file
system does for one process only and never over a folder that is full; from a dead worker by renaming its file, which
again only one can do. No lock is needed, so this holds on file systems that several hosts share.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

from rethinking.runs.workers import Workers, is_worker

NAME = ".claims"
HELD = (errno.ENOTEMPTY, errno.EEXIST)
# A holder may let go, and another take it, while this process looks.
TRIES = 5


class Holds:
    """Those below a store. workers: who is at work there."""

    def __init__(self, store: Path, workers: Workers) -> None:
        self._folder = store / NAME
        self._workers = workers

    def take(self, name: str, worker: str, content: str) -> bool:
        """Hold a name, for a worker. False if another holds it that may be alive.

        content: what others are told of it. Raises OSError if nothing can be held.
        """
        place = self._folder / name
        part = self._folder / f".{name}.{worker}"
        part.mkdir(parents=True, exist_ok=True)
        try:
            (part / worker).write_text(content, encoding="utf-8")
            for _ in range(TRIES):
                try:
                    part.rename(place)
                except OSError as error:
                    if self.holds(name, worker):  # A network file system may do what it is asked and say it has not.
                        return True
                    if error.errno not in HELD:
                        raise
                else:
                    return True
                holder = self.holder(name)
                if holder and self._workers.is_dead(holder) is not True:
                    return False
                if holder and self._inherit(name, holder, worker):
                    return True
            # What lies there is nothing of this program's.
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(place))
        finally:
            _remove(part / worker)
            _remove_empty(part)

    def holds(self, name: str, worker: str) -> bool:
        """Whether a worker does: one that was silent for too long has lost what it held."""
        return (self._folder / name / worker).exists()

    def holder(self, name: str) -> str:
        """The worker that holds a name, dead or alive; empty if there is none."""
        with suppress(OSError):
            for path in (self._folder / name).iterdir():
                if is_worker(path.name):
                    return path.name
        return ""

    def holder_at_work(self, name: str) -> str:
        """The same, if it is not known to be dead."""
        holder = self.holder(name)
        return holder if holder and self._workers.is_dead(holder) is not True else ""

    def names(self) -> list[str]:
        """All that are held, by workers dead or alive."""
        return sorted(path.name for path in self._folder.glob("[!.]*") if self.holder(path.name))

    def content(self, name: str) -> Path:
        """Where that lies which the holder tells; such a file need not be there."""
        return self._folder / name / (self.holder(name) or "nobody")

    def release(self, name: str, worker: str) -> None:
        """Let others have it."""
        _remove(self._folder / name / worker)
        _remove_empty(self._folder / name)

    def clear(self) -> None:
        """Remove what dead workers have left."""
        for worker in self._workers.buried():
            for place in self._folder.glob("*"):
                # An empty one of another process is about to be filled.
                if self.holds(place.name, worker) or place.name.endswith(f".{worker}"):
                    self.release(place.name, worker)

    def _inherit(self, name: str, dead: str, worker: str) -> bool:
        place = self._folder / name
        with suppress(OSError):
            (place / dead).rename(place / worker)
        return self.holds(name, worker)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
