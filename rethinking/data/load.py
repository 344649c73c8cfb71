"""Loads a data set by its configuration: from the processed cache, else from its raw file."""

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate

from rethinking.data.dataset import GraphDataset
from rethinking.data.sources import Places, RawFile, find_raw_file, local_copy
from rethinking.errors import UserError
from rethinking.models.shape import Fields

CACHE_VERSION = 2
MANIFEST = "manifest.json"
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
    # A reader of one's own may change without notice, so what it reads is not kept.
    keeps = config.read["_target_"].startswith("rethinking.")
    dataset = _read_cache(config.name, folder) if keeps else None
    if dataset is None:
        path = find_raw_file(config.raw, places) if config.raw else None
        read: Callable[..., GraphDataset] = instantiate(config.read, _partial_=True)
        dataset = read(path, config.name)
        if keeps:
            _write_cache(dataset, folder)
    if config.fingerprint and dataset.fingerprint != config.fingerprint:
        raise UserError(
            f"{config.name}: the content of the data set has fingerprint {dataset.fingerprint}, expected "
            f"{config.fingerprint}: its source is another version. Replace it and delete {folder}, or set "
            f"dataset.fingerprint={dataset.fingerprint} to use it as it is."
        )
    return dataset


def cache_folder(config: DatasetConfig, places: Places) -> Path:
    """Where the processed data set lies; another folder for every change of the reading rules or the raw file."""
    rules: dict[str, Any] = {"version": CACHE_VERSION, "read": config.read, "sha256": config.raw and config.raw.sha256}
    if config.raw and config.raw.parts:
        rules["parts"] = config.raw.parts
    elif config.raw and config.raw.sha256 is None:
        # Nothing says which file is meant, so the one that is there now.
        copy = local_copy(config.raw, places)
        rules["file"] = [copy.stat().st_size, copy.stat().st_mtime_ns] if copy else None
    key = hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:12]
    return places.cache_folder / "processed" / f"{config.name}-{key}"


def _read_cache(name: str, folder: Path) -> GraphDataset | None:
    """The cached data set, memory-mapped, so that several processes share it; None if there is no whole one."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        arrays = {field: np.asarray(np.load(folder / f"{field}.npy", mmap_mode="c")) for field in manifest["fields"]}
        if not manifest["directed"]:
            arrays |= {"out_ptr": arrays["in_ptr"], "out_rows": arrays["in_rows"]}
        sizes = manifest.get("categorical")
        categorical = Fields(*map(tuple, sizes)) if sizes else None
        dataset = GraphDataset(name=name, **arrays, fields=categorical)
        return dataset if dataset.fingerprint == manifest["fingerprint"] else None
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None


def _write_cache(dataset: GraphDataset, folder: Path) -> None:
    """Written beside its place and renamed, so a reader never meets half a data set."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        names = [field.name for field in fields(dataset) if isinstance(getattr(dataset, field.name), np.ndarray)]
        kept = [name for name in names if dataset.directed or not name.startswith("out_")]
        for name in kept:
            np.save(part / f"{name}.npy", getattr(dataset, name))
        manifest = {"fields": kept, "directed": dataset.directed, "fingerprint": dataset.fingerprint}
        if dataset.fields:
            manifest["categorical"] = [dataset.fields.node, dataset.fields.edge]
        (part / MANIFEST).write_text(json.dumps(manifest))
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except OSError as error:
        log.warning("The processed data set could not be kept in %s (%s).", folder, error)
