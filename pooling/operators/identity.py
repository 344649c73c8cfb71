"""The least operator: every node is a cluster of its own. Also a pattern for operators of one's own."""

from dataclasses import replace
from typing import Any

import torch

from rethinking.pooling.operators.coarsen import joined
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
    edge_index, edge_weight = joined(graphs, given, given.weight, graphs.weights)
    x = given.reduce(graphs.x)
    return Coarse(replace(graphs, x=x, edge_index=edge_index, edge_weight=edge_weight, batch=given.batch), given)
