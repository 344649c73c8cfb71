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


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file. Raises UserError if one is missing, or the file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
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
            yield archive
    except DAMAGE as error:
        raise UserError(f"{path} is damaged ({error}); delete it or replace it by a whole copy.") from error


def zip_member(archive: zipfile.ZipFile, path: Path, name: str) -> str:
    """The member whose path ends in `name`, whatever folder it is in. Raises UserError if there is none."""
    for member in archive.namelist():
        if f"/{member}".endswith(f"/{name}"):
            return member
    raise UserError(f"{path} has no {name}; replace it by a whole copy.")
