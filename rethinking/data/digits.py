"""The bundled data set: graphs of the 1,797 handwritten digits that scikit-learn ships.

Made in the manner of SMNIST (Dwivedi et al. 2020), with a pixel in place of a superpixel, so that
the whole pipeline can be tried without a download.
"""

from itertools import pairwise

import numpy as np

from rethinking.data.dataset import GraphDataset, build_dataset

FULL_INK = 16  # The intensity of a black pixel in scikit-learn's copy.


def read_digits(path: None, name: str, neighbours: int) -> GraphDataset:
    """A node for each pixel with ink; features: intensity, row and column, each in [0, 1].

    Directed edges lead from each node to its `neighbours` nearest nodes. path: unused, nothing is read.
    """
    # Late: importing it takes longer than reading any processed data set.
    from sklearn.datasets import load_digits

    digits = load_digits()
    graph_of_node, row, column = np.nonzero(digits.images)
    intensity = digits.images[graph_of_node, row, column] / FULL_INK
    centre = np.stack([row, column], axis=1) / digits.images.shape[1]
    starts = np.searchsorted(graph_of_node, np.arange(len(digits.images) + 1))
    edges = [first + nearest_by_similarity(centre[first:last], neighbours) for first, last in pairwise(starts)]
    x = np.column_stack([intensity, centre]).astype(np.float32)
    return build_dataset(name, graph_of_node, np.concatenate(edges, axis=1), x, digits.target)


def nearest_by_similarity(centre: np.ndarray, neighbours: int) -> np.ndarray:
    """Directed edges from each node to the nodes most similar to it.

    centre: [n, 2]. With d the distances and σ_i the mean distance of node i to its nearest
    `neighbours` nodes, M_ij = exp(−(d_ij/σ_i)²) and W = ½(M + Mᵀ); each row of W keeps its
    largest entries, without the diagonal. Equal entries go to the lower node number.
    Returns int64 [2, n · neighbours].
    """
    n = len(centre)
    neighbours = min(neighbours, n - 1)
    distance = np.linalg.norm(centre[:, None] - centre[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    sigma = np.sort(distance, axis=1)[:, :neighbours].mean(axis=1)
    similarity = np.exp(-((distance / sigma[:, None]) ** 2))
    weight = (similarity + similarity.T) / 2
    np.fill_diagonal(weight, -np.inf)
    # Rounded, so that which of two equal neighbours comes first does not hang on the last bit.
    ranked = np.argsort(-weight.round(12), axis=1, kind="stable")[:, :neighbours]
    return np.stack([np.repeat(np.arange(n), neighbours), ranked.ravel()])
