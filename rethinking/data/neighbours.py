"""Who is whose neighbour among points: the graphs of images (Dwivedi et al. 2020)."""

import numpy as np


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
