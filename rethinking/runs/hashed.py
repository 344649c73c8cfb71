"""Which files of a store have been hashed before, so that no command hashes them again: a saving of work, no more.

`.hashed.json` has for each run's files what the system says of them (size, times, inode) and their SHA-256, if it was
as it should be. A file of which the system says anything else is hashed anew: it cannot be changed without its time of
change (ctime), which nobody sets, so an index from elsewhere fits nothing. Deleting it changes no answer.
"""

import hashlib
import json
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

NAME = ".hashed.json"
VERSION = 1
LARGEST = 2**26  # bytes of an index that is read; a run needs 500
RECENT = 2 * 10**9  # nanoseconds: a file that was changed so short a time ago may change again within one tick


class Hashed:
    """The index of one store, read when it is first asked."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._known: dict[str, Any] | None = None
        self._new: dict[str, list[Any]] = {}

    def holds(self, path: Path, sha256: str) -> bool:
        """Whether a run's file has this checksum. Raises OSError if it cannot be read."""
        if self._known is None:
            self._known = _read(self._path)
        key, before = f"{path.parent.name}/{path.name}", _state(path)
        if self._known.get(key) == [*before, sha256]:
            return True
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        # What has changed while it was read, or may still do so unseen, is hashed again next time.
        if found == sha256 and _state(path) == before and time.time_ns() - max(before[1:3]) > RECENT:
            self._known[key] = self._new[key] = [*before, sha256]
        return found == sha256

    def keep(self, runs: set[str]) -> None:
        """Write down what is new, beside what other processes have written meanwhile; of these runs only.

        Where it cannot be written, the next command does the work again.
        """
        if not self._new:
            return
        whole = {key: value for key, value in (_read(self._path) | self._new).items() if key.partition("/")[0] in runs}
        part = self._path.with_name(f"{NAME}.{uuid.uuid4().hex[:8]}")
        try:
            part.write_text(json.dumps({"version": VERSION, "files": whole}))
            part.replace(self._path)
        except (OSError, RecursionError):
            with suppress(OSError):
                part.unlink()
        self._new = {}


def _state(path: Path) -> list[int]:
    """What changes when a file does: size, time of change of its content and of anything about it, inode."""
    told = path.stat()
    return [told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino]


def _read(path: Path) -> dict[str, Any]:
    """What an index says; nothing if there is none, or it makes no sense. An entry counts if it is what is expected."""
    try:
        if path.stat().st_size > LARGEST:
            return {}
        index = json.loads(path.read_text(encoding="utf-8"))
        return dict(index["files"]) if index["version"] == VERSION else {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
