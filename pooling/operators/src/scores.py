"""Nodes with the highest scores are kept: TopK and SAGPool."""

import math

import torch
from torch import Tensor, nn

from rethinking.pooling.operators.interface import Assignment, Graphs
from rethinking.pooling.operators.src.graphwise import Edges, GraphwiseOperator, PooledGraph, filtered, kept_only


class TopK(GraphwiseOperator):
    """y = Xp/‖p‖; the ⌈ratio · n⌉ nodes with the largest y are kept, X' = (X ⊙ tanh y)[kept] (Gao and Ji 2019).

    A' = A[kept, kept]. The weights of the assignment are the scores y, whose inverses lift.
    """

    def __init__(self, in_features: int, clusters: int, ratio: float, max_nodes: int) -> None:
        super().__init__()
        self.projection = nn.Parameter(nn.init.xavier_uniform_(torch.empty(in_features, 1)))
        self.ratio = ratio

    def score(self, graph: Graphs) -> Tensor:
        """Returns [n]."""
        return (graph.x @ (self.projection / self.projection.norm()))[:, 0]

    def pool(self, graph: Graphs, given: Assignment | None) -> PooledGraph:
        """See `GraphwiseOperator`."""
        assignment = self._select(graph) if given is None else given
        x = assignment.changed(weight=assignment.weight.tanh()).reduce(graph.x)
        return PooledGraph(x, assignment, lambda: _within(graph, assignment))

    def _select(self, graph: Graphs) -> Assignment:
        score = self.score(graph)
        kept = score.detach().topk(math.ceil(self.ratio * len(score))).indices.sort().values
        return kept_only(graph, kept, score[kept])


def _within(graph: Graphs, assignment: Assignment) -> Edges:
    """The edges between nodes that are kept."""
    place = torch.full_like(graph.batch, -1).index_copy(0, assignment.node, assignment.cluster)
    edges = place[graph.edge_index]
    inside = (edges >= 0).all(dim=0)
    return edges[:, inside], graph.weights[inside]


class SAGPool(TopK):
    """As TopK with scores y = ÂXp, p of any length (Lee et al. 2019)."""

    def score(self, graph: Graphs) -> Tensor:
        """Returns [n]."""
        return filtered(graph.x @ self.projection, graph)[:, 0]
