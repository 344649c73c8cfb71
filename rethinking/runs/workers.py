"""Who works on a store: a file a process, which it keeps locked and writes anew every few seconds.

    .workers/WORKER     host, process, user, since when, and how far it is

On one host the system knows whether a process lives, by its lock. Of a process on another host a lock may say nothing,
and its clock may differ: it counts as dead when its file has stayed the same for long enough by the clock of the
reader, one that nobody sets.
"""

import getpass
import json
import os
import platform
import re
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from rethinking.runs.locks import is_locked, lock

NAME = ".workers"
# Seconds from beat to beat, without one until a worker on another host counts as dead, and between two looks for one.
# A network file system may show a beat a minute late.
BEAT, SILENCE, POLL = 5.0, 120.0, 0.2
# One block: what a reader sees of it is of one writing.
SIZE = 4096
BOOT = Path("/proc/sys/kernel/random/boot_id")


@cache
def host_id() -> str:
    """The same for all processes that see each other's locks: those of one running system."""
    with suppress(OSError):
        return BOOT.read_text().strip()
    return platform.node()


class Worker:
    """This process, at work on a store as long as a context is open."""

    def __init__(self, store: Path) -> None:
        self._folder = store / NAME
        self.name = uuid.uuid4().hex[:12]
        self._path = self._folder / self.name
        self._said: dict[str, Any] = {}
        self._writing = threading.Lock()
        self._over = threading.Event()
        self._open = ExitStack()

    def __enter__(self) -> "Worker":
        """Raises OSError if nothing can be written."""
        self._folder.mkdir(parents=True, exist_ok=True)
        hidden = self._folder / f".{self.name}"
        locked = False
        try:
            with suppress(OSError):  # Some file systems have no locks.
                locked = self._open.enter_context(lock(hidden))
            self._said = {
                "host": platform.node(), "host_id": host_id(), "locked": locked, "process": os.getpid(),
                "user": _user(), "since": datetime.now(UTC).isoformat(timespec="seconds"), "beat": 0,
            }  # fmt: skip
            hidden.write_bytes(self._content())
            # Locked before others see it.
            hidden.rename(self._path)
        except BaseException:
            with suppress(OSError):
                hidden.unlink()
            self._open.close()
            raise
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        with self._writing, suppress(OSError):
            self._path.unlink()
        self._open.close()

    def say(self, doing: Mapping[str, Any]) -> None:
        """What others are told of its work, from the next beat on."""
        with self._writing:
            self._said["doing"] = dict(doing)

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            with self._writing, suppress(OSError):
                if not self._over.is_set():
                    self._said["beat"] += 1
                    # In place: the lock is of this file, and whoever has buried the worker has taken it away.
                    with self._path.open("r+b") as file:
                        file.write(self._content())

    def _content(self) -> bytes:
        text = json.dumps(self._said).encode()
        if len(text) >= SIZE:
            text = json.dumps({key: value for key, value in self._said.items() if key != "doing"}).encode()
        return text.ljust(SIZE)


class Workers:
    """Those at work on a store, as this process sees them.

    One on another host counts as dead after `SILENCE` seconds.
    """

    def __init__(self, store: Path) -> None:
        self._folder = store / NAME
        # What was last read of each, when that was first seen, and whether it had been something else before.
        self._seen: dict[str, tuple[bytes, float, bool]] = {}

    def names(self) -> list[str]:
        """Of all that there is a file of."""
        return sorted(path.name for path in self._folder.glob("*") if is_worker(path.name))

    def said(self, name: str) -> dict[str, Any]:
        """What a worker says of itself; nothing if there is no such worker or it makes no sense."""
        return _said(self._read(name) or b"")

    def quiet_for(self, name: str) -> float:
        """Seconds since its last beat by the clocks of two hosts, so for the eye alone; 0 if there is none."""
        return _age(self._folder / name)

    def is_dead(self, name: str) -> bool | None:
        """Whether a worker is. None: of another host, and not watched for long enough to know."""
        content = self._read(name)
        if content is None:
            return True
        if _is_here(content):
            return not is_locked(self._folder / name)
        before, since, beats = self._seen.get(name, (content, time.monotonic(), False))
        if content != before:
            since, beats = time.monotonic(), True
        self._seen[name] = content, since, beats
        if time.monotonic() - since > SILENCE:
            return True
        return False if beats else None

    def is_dead_at_last(self, name: str) -> bool:
        """The same, watched until it is known: for one more beat, or for as long as the dead are silent."""
        before = self._read(name)
        while not self.is_dead(name):
            content = self._read(name)
            if content is not None and (_is_here(content) or content != before):
                return False
            time.sleep(POLL)
        return True

    def buried(self) -> Iterator[str]:
        """The names of those that are known to be dead; the file of each is removed after its turn."""
        for path in self._folder.glob(".*"):
            # Of a process that died before others could see it. One that is just beginning has it locked.
            if is_worker(path.name[1:]) and _age(path) > SILENCE and not is_locked(path):
                _remove(path)
        for name in self.names():
            if self.is_dead(name):
                yield name
                _remove(self._folder / name)

    def _read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()[:SIZE]
        except FileNotFoundError:
            return None
        except OSError:
            return b""


def is_worker(name: str) -> bool:
    """Whether a file can be called so that is a worker's."""
    return re.fullmatch(r"[0-9a-f]{12}", name) is not None


def _is_here(content: bytes) -> bool:
    """Whether a worker is on this host, and has a lock that tells whether it lives."""
    said = _said(content)
    return said.get("host_id") == host_id() and said.get("locked") is True


def _said(content: bytes) -> dict[str, Any]:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _age(path: Path) -> float:
    """Seconds since a file was written, by two clocks; 0 if there is none."""
    with suppress(OSError):
        return max(0.0, time.time() - path.stat().st_mtime)
    return 0.0


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # In a container a user may have no name.
        return str(os.getuid())


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
