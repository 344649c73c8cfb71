"""Which files of a store have been checked before, so that no command checks them again: a saving of work, no more.

`.hashed.json` has for each run's files what the system says of them (size, times, inode) and their SHA-256, if it was
as it should be; for a file that was read as data, too, what stands in it. A file of which the system says anything else
is read anew: it cannot be changed without its time of change (ctime), which nobody sets, so an index from elsewhere
fits nothing. Deleting it changes no answer.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from rethinking.runs.replacement import replaced_file

NAME = ".hashed.json"
READ = "read"  # what names the data of a file, after its own name
VERSION = 3
LARGEST = 2**28  # bytes of an index that is read; a run needs 2,500
RECENT = 2 * 10**9  # nanoseconds: a file that was changed so short a time ago may change again within one tick


class Hashed:
    """The index of one store, read when it is first asked.

    anew: for whoever wants every file to be read, and nothing to be written.
    """

    def __init__(self, folder: Path, anew: bool = False) -> None:
        self._path = folder / NAME
        self._anew = anew
        self._known: dict[str, Any] | None = {} if anew else None
        self._new: dict[str, list[Any]] = {}

    def holds(self, run: Path, name: str, sha256: str) -> bool:
        """Whether a file of a run has this checksum. run: its directory. Raises OSError if it cannot be read."""
        path = f"{run}/{name}"
        before = _state(path)
        if self._recalled(run, name, before) == sha256:
            return True
        found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        if found == sha256:
            self._remember(run, name, before, sha256)
        return found == sha256

    def content(self, run: Path, name: str, read: Callable[[Path], Any]) -> Any:
        """What a file of a run says: as it was read before, else by `read`, which checks it. run: its directory.

        Raises OSError if it cannot be read, and what `read` raises.
        """
        before = _state(f"{run}/{name}")
        recalled = self._recalled(run, f"{name}/{READ}", before)
        if isinstance(recalled, dict):
            return recalled
        found = read(run / name)
        if _is_kept_by_json(found):
            self._remember(run, name, before, found, f"{name}/{READ}")
        return found

    def _recalled(self, run: Path, name: str, state: list[int]) -> Any:
        """What is known of a file in this state; None if nothing is."""
        entry = self._index().get(f"{run.name}/{name}")
        return entry[-1] if isinstance(entry, list) and entry[:-1] == state else None

    def _remember(self, run: Path, name: str, before: list[int], what: Any, under: str = "") -> None:
        """Unless the file has changed while it was read, or may still do so unseen; then it is read again next time.

        under: the name that it is remembered by, that of the file by default.
        """
        if _state(f"{run}/{name}") == before and time.time_ns() - max(before[1:3]) > RECENT:
            key = f"{run.name}/{under or name}"
            self._index()[key] = self._new[key] = [*before, what]

    def forget(self, run: Path, name: str) -> None:
        """Have what a file of a run says read anew."""
        for known in (self._index(), self._new):
            known.pop(f"{run.name}/{name}/{READ}", None)

    def _index(self) -> dict[str, Any]:
        """What the index says, read when it is first asked."""
        if self._known is None:
            self._known = _read(self._path)
        return self._known

    def keep(self, runs: set[str]) -> None:
        """Write down what is new, beside what other processes have written meanwhile; of these runs only.

        Where it cannot be written, the next command does the work again.
        """
        if not self._new or not runs or self._anew:
            return
        whole = {key: value for key, value in (_read(self._path) | self._new).items() if key.partition("/")[0] in runs}
        with suppress(OSError, RecursionError), replaced_file(self._path) as part:
            part.write_text(json.dumps({"version": VERSION, "files": whole}), encoding="utf-8")
        self._new = {}


def _state(path: str) -> list[int]:
    """What changes when a file does: size, time of change of its content and of anything about it, inode."""
    told = os.stat(path)  # noqa: PTH116  # Ten thousand of them: a Path of each takes as long as the system does.
    return [told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino]


def _is_kept_by_json(found: Any) -> bool:
    """Whether data is the same after it was written and read; dates are not, which YAML has."""
    try:
        # By their texts, as a number that is none (NaN) is not equal to itself.
        return repr(json.loads(json.dumps(found))) == repr(found)
    except (TypeError, ValueError, RecursionError):
        return False


def _read(path: Path) -> dict[str, Any]:
    """What an index says; nothing if there is none, or it makes no sense. An entry counts if it is what is expected."""
    try:
        if path.stat().st_size > LARGEST:
            return {}
        index = json.loads(path.read_text(encoding="utf-8"))
        return dict(index["files"]) if index["version"] == VERSION else {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
