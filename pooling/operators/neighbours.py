"""Sums over the neighbours of a node, with edges listed as PyG lists them."""

import torch
from torch import Tensor


def sum_over_neighbours(x: Tensor, edge_index: Tensor, weight: Tensor) -> Tensor:
    """Σ_j w_ji x_j over the edges j → i. x: [N, F]. edge_index: int64 [2, E]. weight: [E]. Returns [N, F]."""
    source, target = edge_index
    nodes = len(x)
    matrix = torch.sparse_coo_tensor(torch.stack([target, source]), weight, (nodes, nodes), check_invariants=False)
    return torch.sparse.mm(matrix, x)
