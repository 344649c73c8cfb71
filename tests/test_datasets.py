"""Every family trains on every data set: on a larger slice of each in a slow test, and some on a small one."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from rethinking.configuration.composition import compose_cell, dataset_config, options, possible_variants
from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.data.load import load
from rethinking.data.sources import Places
from rethinking.data.split import FixedSplit, StratifiedSplit
from rethinking.data.superpixels import read_superpixels
from rethinking.training.group import train_group
from tests.spanning import spanning_cases


def take(dataset: GraphDataset, graphs: np.ndarray) -> GraphDataset:
    """Some graphs of a data set, in ascending order."""
    graph_of_node = np.repeat(np.arange(len(dataset)), dataset.sizes)
    kept = np.isin(graph_of_node, graphs)
    place = np.cumsum(kept) - 1
    edges = kept[dataset.edge_index[0]]
    return build_dataset(
        dataset.name,
        np.searchsorted(graphs, graph_of_node[kept]),
        place[dataset.edge_index[:, edges]],
        dataset.x[kept],
        dataset.y[graphs],
        None if dataset.edge_fields is None else dataset.edge_fields[edges],
        dataset.fields,
    )


def slice_of(dataset: GraphDataset, count: int, largest: int) -> GraphDataset:
    """`count` graphs of at most `largest` nodes, of every class alike."""
    small = np.flatnonzero(dataset.sizes <= largest)
    if not dataset.classes:
        return take(dataset, small[:count])
    share = -(-count // dataset.classes)
    return take(
        dataset, np.sort(np.concatenate([small[dataset.y[small] == c][:share] for c in range(dataset.classes)]))
    )


def train_families(dataset: GraphDataset, models: Sequence[str]) -> None:
    """One epoch each."""
    half, last = len(dataset) // 2, len(dataset) - len(dataset) // 4
    splitter = (
        StratifiedSplit(0.25, 0.25) if dataset.classes else FixedSplit((0, half), (half, last), (last, len(dataset)))
    )
    split = splitter(dataset, 0)
    for model in models:
        pair = [f"model={model}", f"pooling={possible_variants(model)[0]}", f"dataset={dataset.name}"]
        cell = compose_cell([*pair, "trainer.max_epochs=1"])
        task = cell.task()
        (replica,) = train_group(
            build=cell.build(dataset, task),
            dataset=dataset,
            splits=[split],
            seeds=[0],
            task=task,
            config=cell.trainer,
            evaluation_batch_size=64,
            device=torch.device("cpu"),
            on_epoch=lambda replicas: None,
        )
        assert replica.error is None, f"{model} on {dataset.name}: {replica.error}"
        assert set(replica.history[0]) >= {"train_loss", f"val_{task.metric}", f"test_{task.metric}"}
        assert np.isfinite(list(replica.history[0].values())).all(), f"{model} on {dataset.name}: {replica.history}"


def raw_slice(mirror: Path, folder: Path) -> GraphDataset:
    """The first images of SMNIST; to make graphs of all takes half a minute."""
    images = {"train": 400, "test": 100}
    whole = np.load(mirror / "smnist" / "mnist_75sp.npz")
    arrays = {}
    for part, count in images.items():
        nodes = int(whole[f"{part}_num_nodes"][:count].sum())
        for key in ("mean", "pos", "num_nodes", "label"):
            arrays[f"{part}_{key}"] = whole[f"{part}_{key}"][: nodes if key in ("mean", "pos") else count]
    np.savez(folder / "slice.npz", **arrays)
    return read_superpixels(folder / "slice.npz", "smnist", neighbours=8)


# Each family on one data set at least, each data set with one family at least.
FAMILIES = defaultdict(list)
for data, family in spanning_cases(list(product(options("dataset"), options("model")))):
    FAMILIES[data].append(family)


@pytest.mark.parametrize("name", options("dataset"))
def test_a_family_trains_on_a_slice(name: str, mirror: Path, cache: Path, tmp_path: Path) -> None:
    if name == "smnist":
        dataset = raw_slice(mirror, tmp_path)
    else:
        dataset = load(
            compose_cell(["model=graclus", "pooling=learned", f"dataset={name}"]).dataset,
            Places(str(mirror), str(cache)),
        )
    train_families(slice_of(dataset, 40, 100), FAMILIES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", options("dataset"))
def test_every_family_trains_a_short_epoch(name: str, mirror: Path, cache: Path) -> None:
    train_families(slice_of(load(dataset_config(name), Places(str(mirror), str(cache))), 600, 600), options("model"))
