"""SMNIST: graphs of superpixels of handwritten digits (Dwivedi et al. 2020, MNIST-75sp)."""

from pathlib import Path

import numpy as np
import torch

from rethinking.data.archive import open_zip, read_arrays, zip_member
from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.data.neighbours import neighbour_edges
from rethinking.errors import UserError

PIXELS = 28  # The side of an image.
PARTS = ("train", "test")


def read_superpixels(path: Path, name: str, neighbours: int) -> GraphDataset:
    """The graphs of an `.npz` archive: the 60,000 training images, then the 10,000 test images, in MNIST's order.

    The archive has, for each part, `mean` [nodes] (intensity in [0, 1]), `pos` [nodes, 2] (centre in pixels),
    `num_nodes` and `label` [images]. Features: intensity, and the centre by the side of an image. Directed edges lead
    from each node to its `neighbours` most similar ones.
    """
    arrays = read_arrays(path, [f"{part}_{key}" for part in PARTS for key in ("mean", "pos", "num_nodes", "label")])

    def both(key: str) -> np.ndarray:
        return np.concatenate([arrays[f"{part}_{key}"] for part in PARTS])

    centre = both("pos").astype(np.float64) / PIXELS
    return _graphs(name, both("num_nodes"), both("mean"), centre, both("label"), neighbours)


def read_benchmark_superpixels(path: Path, name: str, neighbours: int) -> GraphDataset:
    """The same graphs from the file of PyG's `GNNBenchmarkDataset("MNIST")`, a zip file with one of torch's in it.

    That has, for training, validation and test, a list of dictionaries with `x` [n, 1] (intensity), `pos` [n, 2] (the
    centre by the side of an image) and `y`. Its validation images are the first of MNIST's training images, so they
    come first. The class itself is not used: where torch refuses to open a file safely, it opens it all the same.
    """
    with open_zip(path) as archive, archive.open(zip_member(archive, path, "MNIST_v2.pt")) as file:
        try:
            train, val, test = torch.load(file, weights_only=True)
            graphs = [*val, *train, *test]
            mean, pos, label = (torch.cat([g[key].reshape(-1, width) for g in graphs]).numpy()
                                for key, width in (("x", 1), ("pos", 2), ("y", 1)))  # fmt: skip
        except Exception as error:  # What is in it may be anything.
            raise UserError(f"{path} does not hold MNIST's superpixels as PyG has them ({error}).") from error
    sizes = np.array([len(graph["pos"]) for graph in graphs])
    return _graphs(name, sizes, mean[:, 0], pos.astype(np.float64), label[:, 0], neighbours)


def _graphs(
    name: str, sizes: np.ndarray, mean: np.ndarray, centre: np.ndarray, label: np.ndarray, neighbours: int
) -> GraphDataset:
    sizes = sizes.astype(np.int64)
    edge_index = neighbour_edges(sizes, centre, neighbours, name)
    graph_of_node = np.repeat(np.arange(len(sizes)), sizes)
    return build_dataset(name, graph_of_node, edge_index, np.column_stack([mean, centre]), label.astype(np.int64))
