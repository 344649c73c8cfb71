"""Soft clusters: DiffPool, MinCutPool and LaPool."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from rethinking.pooling.gramian import gramian_square
from rethinking.pooling.operators.interface import Assignment, Graphs, MatrixAssignment
from rethinking.pooling.operators.src.graphwise import (
    Edges,
    GraphwiseOperator,
    PooledGraph,
    filtered,
    listed,
    through,
    times_adjacency,
)
from rethinking.pooling.orthogonality import orthogonality

# What keeps logarithms and quotients finite, Keras's.
EPSILON = 1e-7


class DiffPool(GraphwiseOperator):
    """S = softmax(Â X W), X' = Sᵀ Â X W', A' = SᵀAS (Ying et al. 2018), with one layer and no bias in both networks.

    Losses: ‖A − SSᵀ‖, which is not divided by the number of entries as PyG's is, and the mean entropy of rows.
    """

    def __init__(self, in_features: int, clusters: int, ratio: float, max_nodes: int) -> None:
        super().__init__()
        self.assign, self.embed = _glorot(in_features, clusters), _glorot(in_features, in_features)

    def pool(self, graph: Graphs, given: Assignment | None) -> PooledGraph:
        """See `GraphwiseOperator`."""
        x = filtered(graph.x, graph)
        s = (x @ self.assign).softmax(dim=1) if given is None else given.dense()
        along = times_adjacency(s, graph)
        losses = {} if given else {"link": _link_loss(graph, s, along), "entropy": _entropy(s)}
        assignment, neighbours = given or MatrixAssignment(s), partial(through, s, graph)
        return PooledGraph(s.T @ x @ self.embed, assignment, lambda: listed(s.T @ along), losses, neighbours)


class MinCut(GraphwiseOperator):
    """S = softmax(XW + b), X' = SᵀX, A' = SᵀAS without its diagonal, normalised (Bianchi et al. 2020).

    Losses: the cut −tr(SᵀAS)/tr(SᵀDS), and orthogonality ‖SᵀS/‖SᵀS‖ − I/‖I‖‖.
    """

    def __init__(self, in_features: int, clusters: int, ratio: float, max_nodes: int) -> None:
        super().__init__()
        self.assign, self.bias = _glorot(in_features, clusters), nn.Parameter(torch.zeros(clusters))

    def pool(self, graph: Graphs, given: Assignment | None) -> PooledGraph:
        """See `GraphwiseOperator`."""
        s = (graph.x @ self.assign + self.bias).softmax(dim=1) if given is None else given.dense()
        along = times_adjacency(s, graph)
        losses = {} if given else {"cut": _cut_loss(graph, s, along), "orthogonality": _of_one(orthogonality, s)}
        assignment, neighbours = given or MatrixAssignment(s), partial(_neighbours, s, along, graph)
        return PooledGraph(s.T @ graph.x, assignment, lambda: _between(s, along), losses, neighbours)


def _between(s: Tensor, along: Tensor) -> Edges:
    """Those of MinCut. s: [n, k]. along: AS, [n, k]."""
    coarse = s.T @ along
    apart = coarse - torch.diag(coarse.diagonal())
    scale = _root(apart.sum(dim=1))
    return listed(apart / scale / scale[:, None])


def _neighbours(s: Tensor, along: Tensor, graph: Graphs, y: Tensor) -> Tensor:
    """Sums over the same edges, see `PooledGraph`, without making SᵀAS. y: [k, C]."""
    inside = (s * along).sum(dim=0)[:, None]
    everywhere = s.T @ times_adjacency(s.sum(dim=1, keepdim=True), graph)
    scale = _root(everywhere - inside)
    y = y / scale
    return (through(s, graph, y) - inside * y) / scale


def _root(degree: Tensor) -> Tensor:
    """By what rows and columns of A' are divided, the root of its degrees."""
    # It has no derivative at zero, where no edge leads to another cluster.
    return torch.where(degree > 0, degree, 1).sqrt() + EPSILON


class LaPool(GraphwiseOperator):
    """Clusters around leaders, the nodes that differ from their neighbours most (Noutahi et al. 2019).

    A leader's ‖(LX)_i‖, with L = D − A, is not less than any neighbour's. A leader is a cluster, and another node is
    in these by the softmax of its cosine with each; lengths of paths have no say. X' = SᵀX, A' = SᵀAS.
    """

    def __init__(self, in_features: int, clusters: int, ratio: float, max_nodes: int) -> None:
        super().__init__()

    def pool(self, graph: Graphs, given: Assignment | None) -> PooledGraph:
        """See `GraphwiseOperator`."""
        s = self._select(graph) if given is None else given.dense()
        return PooledGraph(
            s.T @ graph.x,
            given or MatrixAssignment(s),
            lambda: listed(s.T @ times_adjacency(s, graph)),
            neighbours=partial(through, s, graph),
        )

    def _select(self, graph: Graphs) -> Tensor:
        x = graph.x
        leaders = _leaders(graph)
        unit = x / x.norm(dim=1, keepdim=True).clamp(min=EPSILON)
        soft = (unit @ unit[leaders].T).softmax(dim=1)
        own = torch.eye(len(x), dtype=x.dtype, device=x.device)[:, leaders]
        return torch.where(leaders[:, None], own, soft)


def _leaders(graph: Graphs) -> Tensor:
    """Returns bool [n]; a node without neighbours is one."""
    source, target = graph.edge_index
    x = graph.x.detach()
    degree = graph.weights.new_zeros(len(x)).index_add(0, target, graph.weights)
    change = (degree[:, None] * x - times_adjacency(x, graph)).norm(dim=1)
    behind = change[source] < change[target]
    return torch.ones_like(change, dtype=torch.bool).index_fill(0, source[behind], False)


def _link_loss(graph: Graphs, s: Tensor, along: Tensor) -> Tensor:
    """‖A − SSᵀ‖, without making SSᵀ: ‖A‖² − 2 tr(SᵀAS) + ‖SᵀS‖² is its square. along: AS, [n, k]."""
    squared = graph.weights.square().sum() - 2 * (s * along).sum() + _of_one(gramian_square, s)
    return squared.clamp(min=EPSILON**2).sqrt()


def _entropy(s: Tensor) -> Tensor:
    return -(s * (s + EPSILON).log()).sum(dim=1).mean()


def _cut_loss(graph: Graphs, s: Tensor, along: Tensor) -> Tensor:
    """A graph without edges has nothing to cut and counts as zero. along: AS, [n, k]."""
    degree = graph.weights.new_zeros(len(s)).index_add(0, graph.edge_index[1], graph.weights)
    return -(s * along).sum() / (degree @ s.square().sum(dim=1)).clamp(min=EPSILON)


def _of_one(loss: Callable[[Tensor, Tensor, Tensor, int], Tensor], s: Tensor) -> Tensor:
    """A loss of the project's own poolers, of one graph. s: [n, k]."""
    start = torch.zeros(1, dtype=torch.int64, device=s.device)
    return loss(s[None], start, start + len(s), len(s))[0]


def _glorot(rows: int, columns: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, columns)))
