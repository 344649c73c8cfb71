"""Finds the raw file of a data set: mirror folder, earlier download, or download; checks its checksum."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import URLError

from rethinking import paths
from rethinking.data.archive import open_zip, zip_member
from rethinking.data.scratch import scratch
from rethinking.errors import UserError


@dataclass
class RawFile:
    """The raw file of a data set.

    file: its place below the mirror folder; a file or a folder. sha256: the checksum of that copy; null accepts any.
    url: where it can be downloaded; null if it cannot. That copy may be packed differently from the mirror's, so its
    content is checked instead, after reading.
    parts: the checksums of the files that are read in a folder or zip file, wherever it came from.
    beside: other files that belong to it, by name: where to download each.
    pickled: whether it holds pickles, which can run code when they are opened; it is then read only if its checksum
    matches, a download too.
    """

    file: str
    sha256: str | None = None
    url: str | None = None
    parts: dict[str, str] | None = None
    beside: dict[str, str] = field(default_factory=dict)
    pickled: bool = False


@dataclass
class Places:
    """Where data may be found. mirror: a folder with raw files. cache: a folder of the project's own."""

    mirror: str | None
    cache: str | None

    @property
    def mirror_folder(self) -> Path | None:
        """The mirror, None if there is none. Raises UserError if the folder named does not exist."""
        mirror = paths.mirror(self.mirror)
        if mirror is not None and not mirror.is_dir():
            raise UserError(f"The folder of raw files {mirror} does not exist; correct data.mirror or RETHINKING_DATA.")
        return mirror

    @property
    def cache_folder(self) -> Path:
        """Where downloads and processed data are kept; it need not exist yet."""
        return paths.cache(self.cache)

    def downloads(self, raw: RawFile) -> Path:
        """Where a download of `raw` is kept."""
        return self.cache_folder / "raw" / raw.file


def find_raw_file(raw: RawFile, places: Places, trusted: str | None = None) -> Path:
    """The path of the raw file, downloaded if it is nowhere yet, with its checksums verified.

    trusted: a checksum that the user vouches for, for pickled files whose checksum the configuration does not know.
    Raises UserError when it cannot be had, or is another file than the one expected.
    """
    path = local_copy(raw, places)
    if path is None:
        path = _download(raw, places)
    if raw.parts:
        _check_parts(path, raw.parts)
    elif raw.pickled:
        _check_file(path, raw.sha256 or trusted, raw, needed=True)
    elif path != places.downloads(raw):
        _check_file(path, raw.sha256, raw)
    return path


def local_copy(raw: RawFile, places: Places) -> Path | None:
    """The mirror's copy, else an earlier download, else None. Raises UserError where it cannot be looked for."""
    mirror = places.mirror_folder
    try:
        for path in (mirror / raw.file if mirror else None, places.downloads(raw)):
            if path is not None and path.exists():
                return path
        return None
    except OSError as error:
        raise UserError(f"{raw.file} cannot be looked for: {error}. Make the folder readable.") from error


def _check_parts(path: Path, parts: Mapping[str, str]) -> None:
    """Raises UserError if a file of a folder or zip file is missing or not the one expected."""
    if path.is_dir():
        for part, sha256 in parts.items():
            _compare(_measure(path / part), sha256, f"{path / part}", "Replace it.")
        return
    with open_zip(path) as archive:
        for part, sha256 in parts.items():
            with archive.open(zip_member(archive, path, part)) as file:
                _compare(_digest(file), sha256, f"{part} in {path}", "Delete that file to download it again.")


def _check_file(path: Path, sha256: str | None, raw: RawFile, needed: bool = False) -> None:
    measured = _measure(path)
    if sha256 is None and needed:
        raise UserError(
            f"{path} holds pickled objects, which can run code when they are opened, and its checksum is not known "
            f"to this project. If you trust where it came from: `rethinking data get DATASET --trust {measured}`."
        )
    remedy = f"Replace it, or delete it to download {raw.url} instead." if raw.url else "Replace it."
    if sha256 is not None:
        _compare(measured, sha256, str(path), remedy)


def _compare(measured: str, expected: str, what: str, remedy: str) -> None:
    if measured != expected:
        raise UserError(
            f"{what} is damaged or another version: its SHA-256 is {measured}, expected {expected}. {remedy}"
        )


def _measure(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return _digest(file)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); make it readable.") from error


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _download(raw: RawFile, places: Places) -> Path:
    """Into a folder of its own first, so that neither a killed nor a second download leaves half a file."""
    from torch_geometric.data import download_url

    target, mirror = places.downloads(raw), places.mirror_folder
    if raw.url is None:
        where = f"{mirror}/{raw.file}" if mirror else f"DIR/{raw.file} and set RETHINKING_DATA=DIR"
        raise UserError(f"{raw.file} is not here, and there is no place to download it from; put it at {where}.")
    try:
        with scratch(target) as folder:
            # The main file last: once it is there, all is there.
            for name, url in (*raw.beside.items(), (target.name, raw.url)):
                part = Path(download_url(url, str(folder), log=False, filename=name))
                if part.suffix == ".zip":
                    with open_zip(part):
                        pass
                part.replace(target.with_name(name))
    except (URLError, HTTPException, OSError) as error:
        # Not into the mirror, whose copies may be packed differently.
        files = "".join(f", {url} at {target.with_name(name)}" for name, url in raw.beside.items())
        raise UserError(
            f"{raw.url} could not be downloaded ({error}). Download it by hand and put it at {target}{files}."
        ) from error
    except UserError as error:
        raise UserError(f"What {raw.url} sent is not whole ({error}) Try again, or put it at {target}.") from error
    return target
