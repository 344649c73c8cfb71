"""What all of them share: graphs are pooled one by one, as selecting, reducing and connecting."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from rethinking.pooling.operators.interface import (
    Assignment,
    Clusters,
    Coarse,
    Graphs,
    Operator,
    join,
    over_edges,
    separated,
    split,
)
from rethinking.pooling.operators.neighbours import sum_over_neighbours

# Between clusters: int64 [2, E], (source, target), and the weight of each, [E].
Edges = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class PooledGraph:
    """One graph. x: [k, F], of the clusters. edges: finds those between them.

    neighbours: see `Clusters`; None where edges take no longer.
    """

    x: Tensor
    assignment: Assignment
    edges: Callable[[], Edges]
    losses: dict[str, Tensor] = field(default_factory=dict)
    neighbours: Callable[[Tensor], Tensor] | None = None


class GraphwiseOperator(Operator):
    """The base of all: `pool` takes one graph. Losses are means over graphs."""

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        """See `Operator`."""
        parts = self._parts(graphs, given)
        x, assignment, losses = _joined(parts)
        return Coarse(Graphs(x, *_joined_edges(parts), assignment.batch, graphs.count), assignment, losses)

    def without_edges(self, graphs: Graphs) -> Clusters:
        """See `Operator`."""
        parts = self._parts(graphs, None)
        return Clusters(*_joined(parts), partial(_over_all, parts))

    def pool(self, graph: Graphs, given: Assignment | None) -> PooledGraph:
        """Pool one graph."""
        raise NotImplementedError

    def _parts(self, graphs: Graphs, given: Assignment | None) -> list[PooledGraph]:
        givens = [None] * graphs.count if given is None else split(given, graphs)
        return [self.pool(graph, mine) for graph, mine in zip(separated(graphs), givens, strict=True)]


def _joined(parts: list[PooledGraph]) -> tuple[Tensor, Assignment, dict[str, Tensor]]:
    """The clusters of all graphs, one after another; the opposite of `separated`."""
    if len(parts) == 1:
        return parts[0].x, parts[0].assignment, parts[0].losses
    losses = {name: torch.stack([part.losses[name] for part in parts]).mean() for name in parts[0].losses}
    return torch.cat([part.x for part in parts]), join([part.assignment for part in parts]), losses


def _joined_edges(parts: list[PooledGraph]) -> Edges:
    """Those of all graphs, between clusters as `_joined` has them."""
    if len(parts) == 1:
        return parts[0].edges()
    counts = [len(part.x) for part in parts]
    first = [sum(counts[:number]) for number in range(len(counts))]
    edges, weights = zip(*(part.edges() for part in parts), strict=True)
    return torch.cat([edge + by for edge, by in zip(edges, first, strict=True)], dim=1), torch.cat(weights)


def _over_all(parts: list[PooledGraph], y: Tensor) -> Tensor:
    """`Clusters.neighbours` of all graphs."""
    ys = y.split([len(part.x) for part in parts])
    return torch.cat([_over_one(part, y) for part, y in zip(parts, ys, strict=True)])


def _over_one(part: PooledGraph, y: Tensor) -> Tensor:
    """The same of one of them, by its edges unless it knows a shorter way."""
    if part.neighbours is not None:
        return part.neighbours(y)
    edge_index, weight = part.edges()
    return over_edges(Graphs(part.x, edge_index, weight, part.assignment.batch, 1), y)


def filtered(x: Tensor, graph: Graphs) -> Tensor:
    """Â X with Â = D^−½ (A + I) D^−½, D the degrees with the loops. x: [n, F]. Returns [n, F]."""
    degree = graph.weights.new_ones(len(x)).index_add(0, graph.edge_index[1], graph.weights)
    scale = degree.rsqrt()[:, None]
    return scale * (times_adjacency(scale * x, graph) + scale * x)


def times_adjacency(x: Tensor, graph: Graphs) -> Tensor:
    """A X, with a row for the node an edge leads to. x: [n, F]. Returns [n, F]."""
    return sum_over_neighbours(x, graph.edge_index, graph.weights.to(x))


def through(s: Tensor, graph: Graphs, y: Tensor) -> Tensor:
    """Sᵀ(A(SY)), without making SᵀAS; A with a row for the node an edge comes from. s: [n, k]. y: [k, C]."""
    return s.T @ over_edges(graph, s @ y)


def listed(adjacency: Tensor) -> Edges:
    """The edges of a pooled graph. adjacency: [k, k], with a row for the node an edge leads to; zeros are no edges."""
    edge_index = adjacency.detach().nonzero().T
    return edge_index.flip(0), adjacency[tuple(edge_index)]


def kept_only(graph: Graphs, node: Tensor, weight: Tensor) -> Assignment:
    """Each of these nodes is a cluster, the others are dropped. node, weight: [k]."""
    return Assignment(node, torch.arange(len(node), device=node.device), weight, torch.zeros_like(node), len(graph.x))
