"""Finds the raw file of a data set: mirror folder, earlier download, or download; checks its checksum."""

import hashlib
import tempfile
import zipfile
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

from rethinking import paths
from rethinking.errors import UserError


@dataclass
class RawFile:
    """The raw file of a data set.

    file: its place below the mirror folder. sha256: the checksum of that copy; null accepts any.
    url: where upstream keeps it (that copy may be packed differently; its content is checked after reading); null if
    it cannot be downloaded. parts: given if `file` is a folder; the checksums of the files in it that are read.
    """

    file: str
    sha256: str | None
    url: str | None
    parts: dict[str, str] | None = None


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


def find_raw_file(raw: RawFile, places: Places) -> Path:
    """The path of the raw file, downloaded if it is nowhere yet.

    Raises UserError when it cannot be had, or when the mirror's copy has another checksum.
    """
    copy = local_copy(raw, places)
    if copy is None:
        return _download(raw, places)
    if copy != places.downloads(raw):
        _check(copy, raw)
    return copy


def local_copy(raw: RawFile, places: Places) -> Path | None:
    """The mirror's copy, else an earlier download, else None. Raises UserError where it cannot be looked for."""
    mirror = places.mirror_folder
    try:
        for path in (mirror / raw.file if mirror else None, places.downloads(raw)):
            if path is not None and (path.is_dir() if raw.parts else path.is_file()):
                return path
        return None
    except OSError as error:
        raise UserError(f"{raw.file} cannot be looked for: {error}. Make the folder readable.") from error


def _check(path: Path, raw: RawFile) -> None:
    if raw.parts:
        for part, sha256 in raw.parts.items():
            _check_file(path / part, sha256, raw.url)
    else:
        _check_file(path, raw.sha256, raw.url)


def _check_file(path: Path, sha256: str | None, url: str | None) -> None:
    try:
        with path.open("rb") as file:
            measured = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); make it readable.") from error
    if sha256 is not None and measured != sha256:
        raise UserError(
            f"{path} is damaged or another version: its SHA-256 is {measured}, expected {sha256}. "
            + (f"Replace it, or delete it to download {url} instead." if url else "Replace it.")
        )


def _download(raw: RawFile, places: Places) -> Path:
    """Into a folder of its own first, so that neither a killed nor a second download leaves half a file."""
    from torch_geometric.data import download_url

    target, mirror = places.downloads(raw), places.mirror_folder
    where = f"{mirror}/{raw.file}" if mirror else f"DIR/{raw.file} and set RETHINKING_DATA=DIR"
    if raw.url is None:
        raise UserError(f"{raw.file} is not here, and there is no place to download it from; put it at {where}.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent) as folder:
            part = Path(download_url(raw.url, folder, log=False, filename=target.name))
            if target.suffix == ".zip" and not zipfile.is_zipfile(part):
                raise OSError("what came is not a whole zip file")
            part.replace(target)
    except (URLError, HTTPException, OSError) as error:
        raise UserError(
            f"{raw.url} could not be downloaded ({error}). Download it by hand and put it at {where}."
        ) from error
    return target
