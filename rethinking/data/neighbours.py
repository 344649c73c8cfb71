"""Who is whose neighbour among points: the graphs of images (Dwivedi et al. 2020)."""

import numpy as np

from rethinking.progress import track

# How many distances are in memory at once.
CHUNK = 1 << 22


def nearest_by_similarity(centre: np.ndarray, neighbours: int) -> np.ndarray:
    """The nodes most similar to each node.

    centre: [graphs, n, 2]. With d the distances within a graph and σ_i the mean distance of node i to its nearest
    `neighbours` nodes, M_ij = exp(−(d_ij/σ_i)²) and W = ½(M + Mᵀ); each row of W keeps its largest entries, without
    the diagonal. Equal entries go to the lower node number.
    Returns int64 [graphs, n, min(neighbours, n − 1)].
    """
    n = centre.shape[1]
    neighbours = min(neighbours, n - 1)
    distance = np.linalg.norm(centre[:, :, None] - centre[:, None], axis=-1)
    diagonal = np.arange(n)
    distance[:, diagonal, diagonal] = np.inf
    sigma = np.sort(distance, axis=2)[:, :, :neighbours].mean(axis=2)
    similarity = np.exp(-((distance / sigma[:, :, None]) ** 2))
    weight = (similarity + similarity.transpose(0, 2, 1)) / 2
    weight[:, diagonal, diagonal] = -np.inf
    # Rounded, so that which of two equal neighbours comes first does not hang on the last bit.
    return np.argsort(-weight.round(12), axis=2, kind="stable")[:, :, :neighbours]


def neighbour_edges(sizes: np.ndarray, centre: np.ndarray, neighbours: int, name: str) -> np.ndarray:
    """Directed edges from each node to the `neighbours` nodes of its graph most similar to it.

    sizes: int64 [graphs]. centre: [nodes, 2]. name: of the data set, for the progress shown.
    Returns int32 [2, edges]. Graphs of the same size are worked on together.
    """
    first = np.cumsum(sizes) - sizes
    chunks = []
    for size in np.unique(sizes):
        graphs = np.flatnonzero(sizes == size)
        chunks += np.array_split(graphs, -(-len(graphs) * size * size // CHUNK))
    edges = [np.zeros((2, 0), np.int32)]
    chunks = [graphs for graphs in chunks if sizes[graphs[0]] > 1]
    for graphs in track(chunks, f"{name}: neighbours"):
        nodes = first[graphs, None] + np.arange(sizes[graphs[0]])
        targets = nearest_by_similarity(centre[nodes], neighbours) + first[graphs, None, None]
        sources = np.broadcast_to(nodes[:, :, None], targets.shape)
        edges.append(np.stack([sources.ravel(), targets.ravel()]).astype(np.int32))
    return np.concatenate(edges, axis=1)
