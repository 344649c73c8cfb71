"""Controls: graphs made from a seed, on which local pooling matters, and on which it does not."""

import numpy as np

from rethinking.data.dataset import GraphDataset, build_dataset

# What a node is: an inner one, or an end of one of two colours.
INNER, RED, BLUE = range(3)


def read_control(path: None, name: str, graphs: int, paths: int, joint: bool, seed: int) -> GraphDataset:
    """Graphs of `paths` paths end – inner – inner – end, with coloured ends; features: what a node is, one-hot.

    joint: whether the class hangs on which colours are on one path. Then class 1 has the two ends of each path of the
    same colour, class 0 of different ones, and both as many red as blue ends: what a node and its neighbours are has
    the same distribution, and only clusters of the two inner nodes of a path tell the classes apart after one
    convolution. Otherwise class 1 has 5/8 of its ends red and class 0 3/8, anywhere.
    path: unused, nothing is read. paths: a multiple of 4. Nodes are numbered at random.
    """
    rng = np.random.default_rng(seed)
    if paths % 4:
        raise ValueError(f"paths={paths}; expected a multiple of 4")
    y = np.arange(graphs) % 2
    n = 4 * paths
    one_path = np.array([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])
    edges = np.concatenate([one_path + 4 * p for p in range(paths)], axis=1)
    kinds, edge_index = np.full((graphs, n), INNER), []
    for graph in range(graphs):
        order = rng.permutation(n)
        kinds[graph, order.reshape(paths, 4)[:, [0, 3]]] = _ends(rng, paths, int(y[graph]), joint)
        edge_index.append(graph * n + order[edges])
    x = (kinds.reshape(-1, 1) == np.arange(3)).astype(np.float32)
    return build_dataset(name, np.repeat(np.arange(graphs), n), np.concatenate(edge_index, axis=1), x, y)


def _ends(rng: np.random.Generator, paths: int, label: int, joint: bool) -> np.ndarray:
    """The colours of both ends of each path, [paths, 2]."""
    if not joint:
        red = 2 * paths * (5 if label else 3) // 8
        return rng.permutation(np.repeat([RED, BLUE], [red, 2 * paths - red])).reshape(paths, 2)
    if label:
        return np.repeat(rng.permutation(np.repeat([RED, BLUE], paths // 2))[:, None], 2, axis=1)
    return rng.permuted(np.tile([RED, BLUE], (paths, 1)), axis=1)
