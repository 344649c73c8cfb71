"""Copies files that somebody else made into a folder of our own, before anything looks into them.

Taken are ordinary files of the names that are expected, up to a size; links are not followed, nor folders entered that
nobody expects. What is read afterwards is our copy, which nobody changes any more.
"""

import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# No file of a store or of results has come near to these, in bytes; larger ones would fill memory when they are read.
LARGEST_TEXT, LARGEST = 2**28, 2**31
TEXTS = (".yaml", ".json", ".csv", ".txt")
# Of a table in a file; a short file may stand for many.
MOST_NUMBERS = 10**9


class RefusedError(Exception):
    """Something that is not taken; why, as half a sentence."""


def copy_files(source: Path, target: Path, names: str) -> list[str]:
    """Copy the files of one folder into a new one, which is made. Returns their names.

    names: a regular expression for those that are expected; what begins with a dot is passed over. Raises RefusedError
    for anything else, and OSError if it cannot be read or written.
    """
    copied = []
    with _opened(source) as folder:
        target.mkdir(parents=True)
        for name in sorted(os.listdir(folder)):  # noqa: PTH208  # Path knows no opened folder.
            if name.startswith("."):
                continue
            if not re.fullmatch(names, name, re.ASCII):
                raise RefusedError(f"it has {name[:80]!r}, which is none of its files")
            _copy(folder, name, target / name)
            copied.append(name)
    return copied


def copy_file(source: Path, name: str, target: Path) -> None:
    """Copy one file of a folder. Raises RefusedError if it is no ordinary one, FileNotFoundError if there is none."""
    with _opened(source) as folder:
        _copy(folder, name, target)


def check_table(path: Path) -> None:
    """Raises RefusedError if a Parquet file that was copied is none, or stands for more than is read; others pass."""
    if path.suffix != ".parquet":
        return
    import pyarrow.parquet as pq  # Late: nothing else here needs it.

    try:
        with pq.ParquetFile(path) as file:
            told = file.metadata
            numbers = told.num_rows * told.num_columns
            large = max((told.row_group(i).total_byte_size for i in range(told.num_row_groups)), default=0)
    except Exception as error:  # A Parquet file of somebody's may make its reader raise nearly anything.
        raise RefusedError(f"{path.name} cannot be read ({' '.join(str(error).split())[:200]})") from error
    if not 0 <= numbers <= MOST_NUMBERS or large > LARGEST:
        raise RefusedError(f"{path.name} says that it has {told.num_rows} rows, more than are read")


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """A folder that is no link."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        raise
    except OSError as error:
        raise RefusedError(f"{folder.name!r} is no folder, or a link") from error
    try:
        yield opened
    finally:
        os.close(opened)


def _copy(folder: int, name: str, target: Path) -> None:
    try:
        # Without waiting: a pipe would have it wait for ever.
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except (FileNotFoundError, PermissionError):
        raise
    except OSError as error:
        raise RefusedError(f"{name} is no ordinary file, or a link") from error
    with os.fdopen(source, "rb") as file:
        told = os.fstat(source)
        most = LARGEST_TEXT if name.endswith(TEXTS) else LARGEST
        if not stat.S_ISREG(told.st_mode):
            raise RefusedError(f"{name} is no ordinary file, or a link")
        if told.st_size > most:
            raise RefusedError(f"{name} has {told.st_size} bytes, more than {most}")
        with target.open("xb") as copy:
            shutil.copyfileobj(file, copy)
            if copy.tell() > most:  # It has grown meanwhile.
                raise RefusedError(f"{name} has more than {most} bytes")
