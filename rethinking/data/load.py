"""Loads a data set by its configuration: from the processed cache, else from its raw file."""

import dataclasses
import hashlib
import json
import logging
import mmap
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate

from rethinking import paths
from rethinking.data.bounds import check_bounds
from rethinking.data.dataset import GraphDataset
from rethinking.data.scratch import scratch
from rethinking.data.sources import Places, RawFile, find_raw_file, local_copy
from rethinking.errors import UserError, not_ending
from rethinking.graphs.fields import Fields

CACHE_VERSION = 3
MANIFEST = "manifest.json"
log = logging.getLogger(__name__)
# The cached data sets that this process has found whole, and what their files were then.
_found_whole: dict[Path, list[Any] | None] = {}


@dataclass
class Source:
    """A raw file and how it is read.

    raw: the file; null if none is needed. read: the function (path, name) → GraphDataset, as a Hydra target with its
    arguments. fingerprint: the expected content; null accepts any.
    """

    read: dict[str, Any]
    raw: RawFile | None = None
    fingerprint: str | None = None


@dataclass
class DatasetConfig:
    """One file of `conf/dataset`.

    read, raw, fingerprint: see `Source`. upstream: another source, for those who do not have the raw file.
    split, task: Hydra targets.
    published: its row of Table S1; empty if the paper has none. differs: by column, why it cannot be as published.
    """

    name: str
    title: str
    read: dict[str, Any]
    split: dict[str, Any]
    task: dict[str, Any]
    raw: RawFile | None = None
    fingerprint: str | None = None
    upstream: Source | None = None
    published: dict[str, float | None] = dataclasses.field(default_factory=dict)
    differs: dict[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not paths.is_component(self.name):
            raise UserError(
                f"dataset.name={self.name} cannot name a data set: it names files, too; expected letters, digits, "
                "_, -, +, dots and blanks, beginning with a letter, a digit or _."
            )

    @property
    def sources(self) -> list[Source]:
        """Where the data set may come from, the best first."""
        return [Source(self.read, self.raw, self.fingerprint), *([self.upstream] if self.upstream else [])]


def load(config: DatasetConfig, places: Places, trusted: str | None = None) -> GraphDataset:
    """The data set, processed once and then read from the cache.

    trusted: see `find_raw_file`. Raises UserError when its raw file is missing or damaged, or its content is not the
    expected one.
    """
    source = choose_source(config, places)
    folder = cache_folder(config.name, source, places)
    # A reader of one's own may change without notice, so what it reads is not kept.
    keeps = _is_kept(source)
    before = folder.is_dir()
    dataset = _read_cache(config.name, folder, source.fingerprint) if keeps else None
    if dataset is None:
        path = find_raw_file(source.raw, places, trusted) if source.raw else None
        # Of a file that has just been downloaded the folder is known only now.
        folder = cache_folder(config.name, source, places)
        dataset = _read(config.name, source, path)
        # Not of a file that was written anew while it was read: what was read may be either.
        if keeps and cache_folder(config.name, source, places) == folder:
            _write_cache(dataset, folder, replace=before)
    if source.fingerprint and dataset.fingerprint != source.fingerprint:
        raise UserError(
            f"{config.name}: the content of the data set has fingerprint {dataset.fingerprint}, expected "
            f"{source.fingerprint}: its source is another version. Replace it and delete {folder}, or set "
            f"dataset.fingerprint={dataset.fingerprint} to use it as it is."
        )
    return dataset


def choose_source(config: DatasetConfig, places: Places) -> Source:
    """The first source that is here already, else the first that can be downloaded, else the first."""
    for source in config.sources:
        here = source.raw is None or local_copy(source.raw, places) is not None
        if here or (_is_kept(source) and cache_folder(config.name, source, places).is_dir()):
            return source
    return next((source for source in config.sources if source.raw and source.raw.url), config.sources[0])


def cache_folder(name: str, source: Source, places: Places) -> Path:
    """Where the processed data set lies; another folder for every change of the reading rules or the raw file."""
    raw = source.raw
    rules: dict[str, Any] = {"version": CACHE_VERSION, "read": source.read, "sha256": raw and raw.sha256}
    if raw and raw.parts:
        rules["parts"] = raw.parts
    elif raw and raw.sha256 is None:
        # Nothing says which file is meant, so the one that is there now.
        rules["file"] = _state_of(local_copy(raw, places))
    key = hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:12]
    return places.cache_folder / "processed" / f"{name}-{key}"


def _state_of(path: Path | None) -> list[Any] | None:
    """What changes when a file, or one in a folder, does."""
    if path is None:
        return None
    # A link that leads nowhere, as editors make them, is not there.
    files = sorted(file for file in path.rglob("*") if file.exists()) if path.is_dir() else [path]
    return [number for file in files for number in (file.stat().st_size, file.stat().st_mtime_ns)]


def _is_kept(source: Source) -> bool:
    """Whether all that reads it is the project's own."""

    def targets(value: Any) -> Iterator[str]:
        parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, part in parts:
            if key == "_target_":
                yield part
            yield from targets(part)

    return all(target.startswith("rethinking.") for target in targets(source.read))


def _read(name: str, source: Source, path: Path | None) -> GraphDataset:
    """Readers and data sets of one's own may fail in any way, so any failure is told in one sentence."""
    try:
        with not_ending():
            read: Callable[..., GraphDataset] = instantiate(source.read, _partial_=True)
            dataset = read(path, name)
        if not isinstance(dataset, GraphDataset):
            raise TypeError(f"expected a GraphDataset, got {type(dataset).__name__}")
        check_bounds(dataset)
        return dataset
    except (UserError, MemoryError):
        raise
    except Exception as error:
        cause = error.__cause__ or error
        text = " ".join(str(cause).split())
        raise UserError(
            f"{name} cannot be read by {source.read['_target_']}: {type(cause).__name__}: {text}"
        ) from error


def _read_cache(name: str, folder: Path, fingerprint: str | None) -> GraphDataset | None:
    """The cached data set, memory-mapped, so that several processes share it; None if there is no whole one.

    Its files are checked once a process: that they are as they were written, and that no index leads outside.
    fingerprint: the expected one; another in the cache may be what a damaged disk says, so the raw file is asked.
    """
    if not folder.is_dir():
        return None
    try:
        state = _state_of(folder)
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if not set(manifest["files"]) <= {field.name for field in fields(GraphDataset)}:
            raise ValueError(f"{MANIFEST} names other files")
        checked = _found_whole.get(folder) == state
        for part, expected in manifest["files"].items():
            if not checked and _checksum(folder / f"{part}.npy") != expected:
                raise ValueError(f"{part}.npy is not as it was written")
        arrays = {
            part: np.asarray(np.load(folder / f"{part}.npy", mmap_mode="c", allow_pickle=False))
            for part in manifest["files"]
        }
        if not manifest["directed"]:
            arrays |= {"out_ptr": arrays["in_ptr"], "out_rows": arrays["in_rows"]}
        sizes = manifest.get("categorical")
        categorical = Fields(*map(tuple, sizes)) if sizes else None
        dataset = GraphDataset(name=name, **arrays, fields=categorical)
        if not checked:
            check_bounds(dataset)
            _found_whole[folder] = state
        # Known since it was written; to measure it again would take ten times as long as the checksums.
        vars(dataset)["fingerprint"] = manifest["fingerprint"]
        return dataset if fingerprint in (None, dataset.fingerprint) else None
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        log.warning("The processed data set in %s cannot be used (%s); it is made anew.", folder, error)
        return None


def _write_cache(dataset: GraphDataset, folder: Path, replace: bool) -> None:
    """Written beside its place and renamed, so a reader never meets half a data set.

    replace: whether what was there is of no use; otherwise what lies there now is another process's, and as good.
    """
    try:
        with scratch(folder) as part:
            names = [field.name for field in fields(dataset) if isinstance(getattr(dataset, field.name), np.ndarray)]
            kept = [name for name in names if dataset.directed or not name.startswith("out_")]
            for name in kept:
                np.save(part / f"{name}.npy", getattr(dataset, name), allow_pickle=False)
            files = {name: _checksum(part / f"{name}.npy") for name in kept}
            manifest = {"files": files, "directed": dataset.directed, "fingerprint": dataset.fingerprint}
            if dataset.fields:
                manifest["categorical"] = [dataset.fields.node, dataset.fields.edge]
            (part / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
            if replace:
                shutil.rmtree(folder, ignore_errors=True)
            if not folder.is_dir():
                part.rename(folder)
    except OSError as error:
        # numpy says how many numbers it could not write, not why.
        reason = error.strerror or f"is the disk full? {error}"
        log.warning("The processed data set could not be kept in %s (%s).", folder, reason)


def _checksum(path: Path) -> list[int]:
    """The size of a file in bytes, and its CRC-32: against damage, and a tenth of the time that SHA-256 takes."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return [len(content), zlib.crc32(content)]
