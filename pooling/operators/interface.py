"""What the harness asks of a pooling operator of elsewhere; an adapter gives it.

Graphs lie block-diagonal, as PyG batches them. There is no replica axis here: see `pooling/foreign.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rethinking.graphs.edge_sum import edge_sum


@dataclass(frozen=True, eq=False)
class Graphs:
    """Some graphs, block-diagonal.

    x: [N, F]. edge_index: int64 [2, E], (source, target). edge_weight: [E], None for ones. batch: int64 [N], the graph
    of each node, ascending. count: how many graphs there are, B. directed: whether some edge may have no reverse of its
    weight; false only where somebody knows.
    """

    x: Tensor
    edge_index: Tensor
    edge_weight: Tensor | None
    batch: Tensor
    count: int
    directed: bool = True

    @property
    def sizes(self) -> Tensor:
        """The number of nodes of each graph. Returns int64 [B]."""
        return torch.bincount(self.batch, minlength=self.count)

    @property
    def weights(self) -> Tensor:
        """The weight of each edge. Returns [E]."""
        return self.x.new_ones(self.edge_index.shape[1]) if self.edge_weight is None else self.edge_weight


@dataclass(frozen=True, eq=False)
class Assignment:
    """S of some graphs, by its entries. node, cluster: int64 [M], both counted over all graphs. weight: [M].

    batch: int64 [K], the graph of each cluster, ascending. nodes: N. A node without an entry is dropped.
    """

    node: Tensor
    cluster: Tensor
    weight: Tensor
    batch: Tensor
    nodes: int

    @property
    def clusters(self) -> int:
        """K, of all graphs together."""
        return len(self.batch)

    @property
    def is_learned(self) -> bool:
        """Whether a gradient flows into the weights."""
        return self.weight.requires_grad

    @property
    def most_of_a_node(self) -> int:
        """The greatest number of entries that a node has."""
        return int(torch.bincount(self.node).max()) if len(self.node) else 0

    def changed(self, **parts: Tensor) -> "Assignment":
        """With others in the place of node, cluster, weight or batch."""
        own = {"node": self.node, "cluster": self.cluster, "weight": self.weight, "batch": self.batch}
        return Assignment(**(own | parts), nodes=self.nodes)

    def permuted(self, order: Tensor) -> "Assignment":
        """Node order[i] gets the row of node i. order: int64 [N], a permutation within each graph."""
        return self.changed(node=order[self.node])

    def reduce(self, x: Tensor) -> Tensor:
        """Sᵀ X. x: [N, F]. Returns [K, F]. Raises IndexError for an entry of a node or a cluster that there is not."""
        _expect_below(len(x), self.node, "an assignment names a node")
        _expect_below(self.clusters, self.cluster, "an assignment names a cluster")
        return edge_sum(x, self.node, self.cluster, self.weight.to(x.dtype), self.clusters)

    def dense(self) -> Tensor:
        """S of all graphs as one matrix. Returns [N, K]."""
        s = self.weight.new_zeros(self.nodes, self.clusters)
        return s.index_put((self.node, self.cluster), self.weight, accumulate=True)


class MatrixAssignment(Assignment):
    """S that an operator has as a matrix: its entries, those that are not zero, are listed when somebody first asks.

    s: [N, K'], a column a cluster of the graph of the row. of: int64 [N], that graph. exists: bool [B, K'], which
    columns are clusters; by default there is one graph, and all are. Listing takes longer than pooling may, and in
    training only twins ask.
    """

    def __init__(self, s: Tensor, of: Tensor | None = None, exists: Tensor | None = None) -> None:
        exists = s.new_ones(1, s.shape[1], dtype=torch.bool) if exists is None else exists
        own = {"s": s, "of": of, "exists": exists, "batch": exists.nonzero()[:, 0], "nodes": len(s)}
        self.__dict__.update(own)

    def __getattr__(self, name: str) -> Any:
        if name not in ("node", "cluster", "weight"):
            raise AttributeError(name)
        node, cluster = self._masked.detach().nonzero(as_tuple=True)
        column = cluster
        if self.of is not None:
            number = self.exists.flatten().cumsum(0).view_as(self.exists) - 1
            cluster = number[self.of[node], column]
        with torch.enable_grad():  # Who asks first may need no gradient, and others do.
            self.__dict__.update(node=node, cluster=cluster, weight=self.s[node, column])
        return self.__dict__[name]

    @property
    def is_learned(self) -> bool:
        """See `Assignment`."""
        return self.s.requires_grad

    @property
    def most_of_a_node(self) -> int:
        """See `Assignment`."""
        return int(self._masked.detach().count_nonzero(dim=1).max()) if self.s.numel() else 0

    def dense(self) -> Tensor:
        """See `Assignment`."""
        return self.s if self.of is None else super().dense()

    @property
    def _masked(self) -> Tensor:
        return self.s if self.of is None else self.s * self.exists[self.of]


@dataclass(frozen=True, eq=False)
class Coarse:
    """What an operator returns. graphs: of the clusters. losses: scalars by name, with their weights.

    assignment: which nodes they are made of; None if the operator does not say.
    """

    graphs: Graphs
    assignment: Assignment | None
    losses: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Clusters:
    """What an operator returns but for edges. x: [K, F], of the clusters. assignment, losses: see `Coarse`.

    neighbours: A' Y of any Y, [K, C]: over the edges that come from a cluster, Σ w_ij y_j. Returns [K, C].
    """

    x: Tensor
    assignment: Assignment | None
    losses: dict[str, Tensor]
    neighbours: Callable[[Tensor], Tensor]


class Operator(nn.Module):
    """The base of all adapters: a pooling operator as `operator(graphs) → Coarse`.

    says_assignment: whether the Assignment is known and can be given in place of its own. Controls need that.
    out_features: the width of the clusters' features; None for that of the nodes.
    sees_features: whether clusters or their edges depend on features or on what is learned; else on the edges of each
    graph alone, and what can be known of a graph is found once.
    """

    says_assignment: bool = True
    out_features: int | None = None
    sees_features: bool = True

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        """Pool. given: clusters in place of its own, which it reduces and connects in its own way; no losses then.

        Raises ValueError, with one sentence, for what the operator cannot do.
        """
        raise NotImplementedError

    def without_edges(self, graphs: Graphs) -> Clusters:
        """What it returns but for edges, which may be most of the work. Raises ValueError as `forward` does."""
        coarse = self(graphs)
        return Clusters(coarse.graphs.x, coarse.assignment, coarse.losses, partial(over_edges, coarse.graphs))


def over_edges(graphs: Graphs, y: Tensor) -> Tensor:
    """A Y, with a row for the node an edge comes from. y: [N, C]. Returns [N, C].

    Raises IndexError for an edge of a node that there is not.
    """
    source, target = graphs.edge_index
    _expect_below(len(y), graphs.edge_index, "an edge names a node")
    return edge_sum(y, target, source, graphs.weights.to(y), len(y))


def _expect_below(count: int, numbers: Tensor, what: str) -> None:
    """As sums are compiled loops, which do not look. Raises IndexError, with what has the number."""
    if numbers.numel() and not (int(numbers.min()) >= 0 and int(numbers.max()) < count):
        raise IndexError(f"{what} that is none of {count}")


def separated(graphs: Graphs) -> list[Graphs]:
    """Each graph alone."""
    if graphs.count == 1:
        return [graphs]
    return [alone(graphs, graph) for graph in range(graphs.count)]


def alone(graphs: Graphs, graph: int) -> Graphs:
    """One of them, by its number."""
    nodes = (graphs.batch == graph).nonzero().squeeze(-1)
    mine = graphs.batch[graphs.edge_index[0]] == graph
    weight = None if graphs.edge_weight is None else graphs.edge_weight[mine]
    first = nodes[:1]
    return Graphs(graphs.x[nodes], graphs.edge_index[:, mine] - first, weight, torch.zeros_like(nodes), 1)


def split(assignment: Assignment, graphs: Graphs) -> list[Assignment]:
    """The assignment of each graph by itself."""
    nodes = graphs.sizes
    clusters = torch.bincount(assignment.batch, minlength=graphs.count)
    first_node, first_cluster = nodes.cumsum(0) - nodes, clusters.cumsum(0) - clusters
    of = graphs.batch[assignment.node]
    parts = []
    for graph in range(graphs.count):
        own = (of == graph).nonzero().squeeze(-1)
        node, cluster = assignment.node[own] - first_node[graph], assignment.cluster[own] - first_cluster[graph]
        batch = own.new_zeros(int(clusters[graph]))
        parts.append(Assignment(node, cluster, assignment.weight[own], batch, int(nodes[graph])))
    return parts


def join(parts: Sequence[Assignment]) -> Assignment:
    """That of several graphs, one after another; the opposite of `split`."""
    node, cluster = 0, 0
    moved = []
    for part in parts:
        moved.append((part.node + node, part.cluster + cluster))
        node, cluster = node + part.nodes, cluster + part.clusters
    nodes, clusters = (torch.cat(entries) for entries in zip(*moved, strict=True))
    batch = torch.cat([part.batch + graph for graph, part in enumerate(parts)])
    return Assignment(nodes, clusters, torch.cat([part.weight for part in parts]), batch, node)
