"""Sums over the neighbours of a node, with edges listed as PyG lists them."""

from torch import Tensor

from rethinking.graphs.edge_sum import edge_sum


def sum_over_neighbours(x: Tensor, edge_index: Tensor, weight: Tensor) -> Tensor:
    """Σ_j w_ji x_j over the edges j → i. x: [N, F]. edge_index: int64 [2, E]. weight: [E]. Returns [N, F]."""
    source, target = edge_index
    return edge_sum(x, source, target, weight)
