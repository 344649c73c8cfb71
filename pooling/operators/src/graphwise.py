"""What all of them share: graphs are pooled one by one, as selecting, reducing and connecting."""

import torch
from torch import Tensor

from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, Operator, join, separated, split
from rethinking.pooling.operators.neighbours import sum_over_neighbours


class GraphwiseOperator(Operator):
    """The base of all: `pool` takes one graph. Losses are means over graphs."""

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        """See `Operator`."""
        parts = separated(graphs)
        givens = [None] * graphs.count if given is None else split(given, graphs)
        return joined([self.pool(graph, mine) for graph, mine in zip(parts, givens, strict=True)], graphs)

    def pool(self, graph: Graphs, given: Assignment | None) -> Coarse:
        """Pool one graph; its clusters have an assignment."""
        raise NotImplementedError


def joined(parts: list[Coarse], graphs: Graphs) -> Coarse:
    """All graphs in one, block-diagonal; the opposite of `separated`."""
    if graphs.count == 1:
        return parts[0]
    pooled = [part.graphs for part in parts]
    assignment = join([part.assignment for part in parts if part.assignment is not None])
    counts = [len(part.x) for part in pooled]
    first = [sum(counts[:number]) for number in range(len(counts))]
    coarse = Graphs(
        torch.cat([part.x for part in pooled]),
        torch.cat([part.edge_index + by for part, by in zip(pooled, first, strict=True)], dim=1),
        torch.cat([part.weights for part in pooled]),
        assignment.batch,
        graphs.count,
    )
    names = parts[0].losses
    return Coarse(coarse, assignment, {name: torch.stack([p.losses[name] for p in parts]).mean() for name in names})


def filtered(x: Tensor, graph: Graphs) -> Tensor:
    """Â X with Â = D^−½ (A + I) D^−½, D the degrees with the loops. x: [n, F]. Returns [n, F]."""
    degree = graph.weights.new_ones(len(x)).index_add(0, graph.edge_index[1], graph.weights)
    scale = degree.rsqrt()[:, None]
    return scale * (times_adjacency(scale * x, graph) + scale * x)


def times_adjacency(x: Tensor, graph: Graphs) -> Tensor:
    """A X, with a row for the node an edge leads to. x: [n, F]. Returns [n, F]."""
    return sum_over_neighbours(x, graph.edge_index, graph.weights.to(x))


def with_matrix(graph: Graphs, x: Tensor, adjacency: Tensor) -> Graphs:
    """A pooled graph. x: [k, F]. adjacency: [k, k], with a row for the node an edge leads to; zeros are no edges."""
    edge_index = adjacency.detach().nonzero().T
    batch = torch.zeros(len(x), dtype=graph.batch.dtype, device=x.device)
    return Graphs(x, edge_index.flip(0), adjacency[tuple(edge_index)], batch, 1)


def kept_only(graph: Graphs, node: Tensor, weight: Tensor) -> Assignment:
    """Each of these nodes is a cluster, the others are dropped. node, weight: [k]."""
    return Assignment(node, torch.arange(len(node), device=node.device), weight, torch.zeros_like(node), len(graph.x))
