"""Folders to write in before what is written gets its place, and what killed writers have left of them."""

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def scratch(place: Path) -> Iterator[Path]:
    """A new folder beside `place`, to be written in and renamed or emptied; removed at the end, if it is still there.

    What writers of the same place have left that were killed is removed first. A folder is locked as long as its
    writer lives, however that ends, so what is locked is nobody else's. Raises OSError if there can be none.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    for leftover in place.parent.glob(f".{glob.escape(place.name)}-*"):
        _remove_if_left(leftover)
    folder, held = _locked_folder(place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _locked_folder(place: Path) -> tuple[Path, int]:
    """A new folder, and the open file that holds its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        # Whoever may read the place is to read what becomes of it.
        folder.chmod(0o755)
        try:
            held = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue  # Another process has found it before it was locked, and took it for a leftover.
        with suppress(OSError):  # Where folders cannot be locked, nobody takes them for leftovers.
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if folder.exists():
            return folder, held
        os.close(held)


def _remove_if_left(folder: Path) -> None:
    with suppress(OSError):
        held = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(held)
