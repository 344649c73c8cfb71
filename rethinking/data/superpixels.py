"""SMNIST: graphs of superpixels of handwritten digits (Dwivedi et al. 2020, MNIST-75sp)."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from rethinking.data.archive import read_arrays
from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.data.neighbours import nearest_by_similarity

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

    sizes, centre = both("num_nodes").astype(np.int64), both("pos").astype(np.float64) / PIXELS
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    edges = [first + nearest_by_similarity(centre[first:last], neighbours) for first, last in pairwise(bounds)]
    x = np.column_stack([both("mean"), centre])
    graph_of_node = np.repeat(np.arange(len(sizes)), sizes)
    return build_dataset(name, graph_of_node, np.concatenate(edges, axis=1), x, both("label").astype(np.int64))
