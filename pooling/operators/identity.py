"""The least operator: every node is a cluster of its own. Also a pattern for operators of one's own."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, Operator


class Identity(Operator):
    """S = I; the features of clusters are Sᵀ X, their edges Sᵀ A S."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__()

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        """See `Operator`."""
        return sums(graphs, itself(graphs) if given is None else given)


def itself(graphs: Graphs) -> Assignment:
    """Each node in a cluster of its own."""
    nodes = torch.arange(len(graphs.x), device=graphs.x.device)
    return Assignment(nodes, nodes, torch.ones_like(graphs.x[:, 0]), graphs.batch, len(nodes))


def sums(graphs: Graphs, given: Assignment) -> Coarse:
    """The clusters of an assignment with Sᵀ X and Sᵀ A S, self-loops included; without losses."""
    x = graphs.x.new_zeros(given.clusters, graphs.x.shape[1])
    x = x.index_add(0, given.cluster, graphs.x[given.node] * given.weight[:, None])
    edge_index, edge_weight = product(graphs, given)
    return Coarse(replace(graphs, x=x, edge_index=edge_index, edge_weight=edge_weight, batch=given.batch), given)


def product(graphs: Graphs, given: Assignment) -> tuple[Tensor, Tensor]:
    """The entries of Sᵀ A S: int64 [2, E'], each pair once, and their weights [E']."""
    order = torch.argsort(given.node, stable=True)
    node, cluster, weight = given.node[order], given.cluster[order], given.weight[order]
    count = torch.bincount(node, minlength=given.nodes)
    first = count.cumsum(0) - count
    source, target = graphs.edge_index
    # Every entry of the source's row with every entry of the target's.
    pairs = count[source] * count[target]
    edge = torch.repeat_interleave(torch.arange(len(source), device=source.device), pairs)
    place = torch.arange(len(edge), device=source.device) - (pairs.cumsum(0) - pairs)[edge]
    left = first[source[edge]] + place // count[target[edge]]
    right = first[target[edge]] + place % count[target[edge]]
    key = cluster[left] * given.clusters + cluster[right]
    unique, inverse = torch.unique(key, return_inverse=True)
    values = graphs.weights[edge] * weight[left] * weight[right]
    summed = values.new_zeros(len(unique)).index_add(0, inverse, values)
    return torch.stack([unique // given.clusters, unique % given.clusters]), summed
