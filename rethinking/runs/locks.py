"""Locks on files, which the system frees when the process that holds them dies, however it dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A reader that looks whether a lock is held holds it for a moment.
PATIENCE, POLL = 0.5, 0.02  # seconds


@contextmanager
def lock(path: Path, patience: float = PATIENCE) -> Iterator[bool]:
    """Hold the lock of a file, which is made if need be. Yields False if another process holds it.

    patience: how many seconds it is waited for. Raises OSError if there can be no lock.
    """
    file = _open(path)
    try:
        yield _acquire(file, patience)
    finally:
        os.close(file)


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock. Looks through a shared lock, so that two readers do not see each other."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        # Another user's file, in a store that several share: to lock it, reading will do.
        return os.open(path, os.O_RDONLY)


def _acquire(file: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL)
