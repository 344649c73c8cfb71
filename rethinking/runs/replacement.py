"""Writes a directory or a file as a whole: a kill at any point leaves the old or the new one, never none or half.

A new directory is written in a workshop and renamed to its place. As one that is full cannot be renamed over, the old
one is put aside in the workshop, for a moment under a name by which `current` and `recover` know it.
"""

import glob
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

OLD = ".old"
PART = ".part"
STALE = 3600.0  # seconds after which nobody writes a file any more


def current(place: Path, workshop: Path) -> Path:
    """Where the directory of a place lies now; the place itself if there is none."""
    return place if place.is_dir() or not _aside(place, workshop).is_dir() else _aside(place, workshop)


def recover(place: Path, workshop: Path) -> None:
    """Put back what a killed writer has put aside, and remove what it has left. For whoever may write the place."""
    aside = _aside(place, workshop)
    if aside.is_dir() and not place.exists():
        aside.rename(place)
    for leftover in workshop.glob(f"{glob.escape(place.name)}.*"):
        _remove(leftover)


@contextmanager
def replaced(place: Path, workshop: Path) -> Iterator[Path]:
    """A new directory, which gets the place when all is in it; what was there is kept if that fails.

    place: for whoever holds it, one process at a time. Raises OSError if it cannot be written.
    """
    part = workshop / f"{place.name}.{uuid.uuid4().hex[:8]}"
    part.mkdir()
    try:
        yield part
        for file in part.iterdir():
            synchronise(file)
        aside = _aside(place, workshop)
        if os.path.lexists(place):
            _remove(aside)
        try:
            if os.path.lexists(place):
                place.rename(aside)
            part.rename(place)
        except BaseException:
            if aside.is_dir() and not place.exists():
                aside.rename(place)
            raise
        _remove(aside)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def replaced_file(path: Path, beside: Path | None = None) -> Iterator[Path]:
    """A new file, which gets the name when all is in it; what was there is kept if that fails.

    beside: the folder in which it is written, that of the file unless another on the same disk is named. What killed
    writers of the same file have left there longer ago than STALE is removed. Raises OSError if it cannot be written.
    """
    folder = beside or path.parent
    for leftover in folder.glob(f".{glob.escape(path.name)}.*{PART}"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > STALE:
                leftover.unlink()
    part = folder / f".{path.name}.{uuid.uuid4().hex[:8]}{PART}"
    try:
        yield part
        synchronise(part)
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink()


def synchronise(file: Path) -> None:
    """Have the content of a file on the disk before it gets its name."""
    with file.open("rb") as written:
        os.fsync(written.fileno())


def _remove(path: Path) -> None:
    """Whatever it is; of a link to a folder, the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()


def _aside(place: Path, workshop: Path) -> Path:
    return workshop / f"{place.name}{OLD}"
