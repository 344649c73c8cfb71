"""Connect for any assignment by its entries: Sᵀ A S."""

import torch
from torch import Tensor

from rethinking.pooling.operators.interface import Assignment, Graphs
from rethinking.pooling.operators.sentences import quiet


def joined(graphs: Graphs, assignment: Assignment, entry: Tensor, edge_weight: Tensor) -> tuple[Tensor, Tensor]:
    """Sᵀ A S where its terms are not zero, sorted. entry: [M], the entries of S. edge_weight: [E], those of A.

    Returns int64 [2, E'], loops included, and their weights [E'].
    """
    nodes, clusters = assignment.nodes, assignment.clusters
    with quiet():
        adjacency = torch.sparse_coo_tensor(graphs.edge_index, edge_weight, (nodes, nodes))
        s = torch.sparse_coo_tensor(torch.stack([assignment.node, assignment.cluster]), entry, (nodes, clusters))
        pooled = torch.sparse.mm(s.t(), torch.sparse.mm(adjacency, s)).coalesce()
    return pooled.indices(), pooled.values()


def neighbours(graphs: Graphs, assignment: Assignment) -> Tensor:
    """The clusters some of whose nodes are joined by an edge. Returns int64 [2, E'], sorted, loops included."""
    ones = graphs.x.new_ones(len(assignment.node)), graphs.x.new_ones(graphs.edge_index.shape[1])
    return joined(graphs, assignment, *ones)[0]
