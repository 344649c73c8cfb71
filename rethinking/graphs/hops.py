"""How many steps lie between two nodes of a graph."""

import numpy as np
import torch
from torch import Tensor


def hop_distances(nodes: int, edges: np.ndarray) -> np.ndarray:
    """The number of steps from each node to each other, along edges in either direction; infinite if there is no way.

    edges: int [2, E]. Returns [nodes, nodes].
    """
    # Late: only few need it, and importing it takes a while.
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import shortest_path

    graph = csr_array((np.ones(edges.shape[1]), (edges[0], edges[1])), shape=(nodes, nodes))
    return shortest_path(graph, directed=False, unweighted=True)


def all_hop_distances(adjacency: Tensor, sizes: Tensor) -> Tensor:
    """Those of every graph. adjacency: [R, B, n, n]. sizes: [R·B]. Returns [R, B, n, n], infinite where no node is."""
    matrices = adjacency.detach().flatten(0, 1).cpu().numpy()
    hops = np.full(matrices.shape, np.inf, matrices.dtype)
    for graph, size in enumerate(sizes.tolist()):
        edges = np.stack(np.nonzero(matrices[graph, :size, :size]))
        hops[graph, :size, :size] = hop_distances(size, edges)
    return torch.from_numpy(hops).to(adjacency.device).view_as(adjacency)
