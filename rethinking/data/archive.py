"""Opens archives, which may come from anywhere: plain arrays and files only, whole or not at all."""

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np

from rethinking.errors import UserError

# zipfile lets through what zlib and the file system say; RuntimeError: an encrypted member.
DAMAGE = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, RuntimeError, NotImplementedError)

# No raw file comes near to it: a member of more bytes that is so many times as large as what it is packed in is a bomb.
HARMLESS, MOST_TIMES = 2**28, 200


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file. Raises UserError if one is missing, or the file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            _check_sizes(path, archive.zip)
            missing = [name for name in names if name not in archive]
            if missing:
                raise UserError(f"{path} has no {', '.join(missing)}; replace it by a whole copy.")
            return {name: archive[name] for name in names}
    except DAMAGE as error:
        raise UserError(f"{path} is damaged ({error}); delete it or replace it by a whole copy.") from error


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip file to read from. Raises UserError if it is damaged, also while it is read, or names paths outside."""
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.startswith(("/", "\\")) or ":" in name or ".." in PurePosixPath(name.replace("\\", "/")).parts:
                    raise UserError(f"{path} names a file outside of its own folder ({name}); do not use this archive.")
            _check_sizes(path, archive)
            yield archive
    except DAMAGE as error:
        raise UserError(f"{path} is damaged ({error}); delete it or replace it by a whole copy.") from error


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    """Raises UserError if a member would fill the memory. What it says of its size is the most that is read of it."""
    for member in archive.infolist():
        if member.file_size > max(HARMLESS, MOST_TIMES * member.compress_size):
            raise UserError(
                f"{path} has {member.filename}, {member.file_size} bytes packed in {member.compress_size}, which would "
                "fill the memory; do not use this archive."
            )


def zip_member(archive: zipfile.ZipFile, path: Path, name: str) -> str:
    """The member whose path ends in `name`, whatever folder it is in. Raises UserError if there is none."""
    for member in archive.namelist():
        if f"/{member}".endswith(f"/{name}"):
            return member
    raise UserError(f"{path} has no {name}; replace it by a whole copy.")
