"""Loads a data set by its configuration: from the processed cache, else from its raw file."""

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate

from rethinking.data.dataset import GraphDataset
from rethinking.data.sources import Places, RawFile, find_raw_file
from rethinking.errors import UserError

CACHE_VERSION = 1
log = logging.getLogger(__name__)


@dataclass
class DatasetConfig:
    """One file of `conf/dataset`.

    read: the function (path, name) → GraphDataset, as a Hydra target with its arguments.
    raw: the file it reads; null if it needs none. fingerprint: the expected content; null accepts any.
    split, task: Hydra targets. published: the row of Table S1; empty if the paper has none.
    """

    name: str
    title: str
    raw: RawFile | None
    read: dict[str, Any]
    fingerprint: str | None
    split: dict[str, Any]
    task: dict[str, Any]
    published: dict[str, float | None]


def load(config: DatasetConfig, places: Places) -> GraphDataset:
    """The data set, processed once and then read from the cache.

    Raises UserError when its raw file is missing or damaged, or its content is not the expected one.
    """
    folder = cache_folder(config, places)
    dataset = _read_cache(config.name, folder)
    if dataset is None:
        path = find_raw_file(config.raw, places) if config.raw else None
        read: Callable[..., GraphDataset] = instantiate(config.read, _partial_=True)
        dataset = read(path, config.name)
        _write_cache(dataset, folder)
    if config.fingerprint and dataset.fingerprint != config.fingerprint:
        raise UserError(
            f"{config.name}: the content of the data set has fingerprint {dataset.fingerprint}, expected "
            f"{config.fingerprint}: the raw file is another version. Replace it and delete {folder}, or set "
            f"dataset.fingerprint={dataset.fingerprint} to use it as it is."
        )
    return dataset


def cache_folder(config: DatasetConfig, places: Places) -> Path:
    """Where the processed data set lies; another folder for every change of the reading rules."""
    rules: Mapping[str, Any] = {
        "version": CACHE_VERSION,
        "read": config.read,
        "sha256": config.raw and config.raw.sha256,
    }
    key = hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:12]
    return places.cache_folder / "processed" / f"{config.name}-{key}"


def _read_cache(name: str, folder: Path) -> GraphDataset | None:
    """The cached data set, memory-mapped, so that several processes share it; None if there is none."""
    try:
        arrays = {path.stem: np.asarray(np.load(path, mmap_mode="c")) for path in folder.glob("*.npy")}
        if "out_rows" not in arrays:
            arrays |= {"out_ptr": arrays["in_ptr"], "out_rows": arrays["in_rows"]}
        return GraphDataset(name=name, **arrays)
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None


def _write_cache(dataset: GraphDataset, folder: Path) -> None:
    """Written beside its place and renamed, so a reader never meets half a data set."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        for field in fields(dataset):
            value = getattr(dataset, field.name)
            if isinstance(value, np.ndarray) and (dataset.directed or not field.name.startswith("out_")):
                np.save(part / f"{field.name}.npy", value)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except OSError as error:
        log.warning("The processed data set could not be kept in %s (%s).", folder, error)
