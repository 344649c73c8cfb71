"""Finds the raw file of a data set: mirror folder, earlier download, or download; checks its checksum."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from rethinking import paths
from rethinking.errors import UserError


@dataclass
class RawFile:
    """The raw file of a data set.

    file: its place below the mirror folder. sha256: the checksum of that copy; null accepts any.
    url: where upstream keeps it (that copy may be packed differently; its content is checked after reading).
    """

    file: str
    sha256: str | None
    url: str


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
    mirror = places.mirror_folder
    if mirror is not None and (mirror / raw.file).is_file():
        return _checked(mirror / raw.file, raw)
    downloaded = places.downloads(raw)
    return downloaded if downloaded.is_file() else _download(raw, downloaded, mirror)


def _checked(path: Path, raw: RawFile) -> Path:
    with path.open("rb") as file:
        measured = hashlib.file_digest(file, "sha256").hexdigest()
    if raw.sha256 is not None and measured != raw.sha256:
        raise UserError(
            f"{path} is damaged or another version: its SHA-256 is {measured}, expected {raw.sha256}. "
            f"Replace it, or delete it to download {raw.url} instead."
        )
    return path


def _download(raw: RawFile, target: Path, mirror: Path | None) -> Path:
    from torch_geometric.data import download_url

    part = target.parent / f"{target.name}.part"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        download_url(raw.url, str(part.parent), filename=part.name)
        part.replace(target)
    except (URLError, OSError) as error:
        part.unlink(missing_ok=True)
        where = f"{mirror}/{raw.file}" if mirror else f"DIR/{raw.file} and set RETHINKING_DATA=DIR"
        raise UserError(
            f"{raw.url} could not be downloaded ({error}). Download it by hand and put it at {where}."
        ) from error
    return target
