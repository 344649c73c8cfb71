"""A level of coarsening as the dense families see it: sparse graphs first, small dense graphs after a pooling layer.

Node features are `[R, N, F]` on all; N is the width of the topology on a sparse level, and B·k on a dense one.

A_ij is the weight of the edge from i to j, as PyG's `to_dense_adj` has it, so A X sums over those a node points to.
"""

from functools import cached_property

import torch
from torch import Tensor

from rethinking.graphs.segments import neighbour_sum
from rethinking.graphs.topology import Topology

# Graphs with fewer nodes are padded to the largest of a batch whatever that wastes: one product is faster than several.
LARGE = 256


class SparseLevel:
    """The graphs of a batch, by their topology, on a device."""

    def __init__(self, topology: Topology, device: torch.device) -> None:
        self.topology = topology
        self.device = device
        self.graphs = len(topology.start) // topology.replicas
        start = torch.from_numpy(topology.start).to(device)[:, None]
        size = torch.from_numpy(topology.size).to(device)[:, None]
        place = torch.arange(int(topology.size.max()), device=device)[None]
        self._size = size[:, 0]
        # [R·B, n]: which row is node i of graph g, and whether there is one.
        self._is_node = place < size
        self._row = torch.where(self._is_node, start + place, 0)

    @cached_property
    def present(self) -> Tensor:
        """Whether each row is a node and not padding. Returns bool [R, N, 1]."""
        present = torch.zeros(self.topology.rows, dtype=torch.bool, device=self.device)
        present[self._row[self._is_node]] = True
        return present.view(self.topology.replicas, -1, 1)

    @cached_property
    def degree(self) -> Tensor:
        """The sum of each row of A: the number of edges that leave a node. Returns [R, N, 1]."""
        pointer = torch.from_numpy(self.topology.out_ptr).to(self.device)
        return pointer.diff().view(self.topology.replicas, -1, 1).float()

    @cached_property
    def position(self) -> Tensor:
        """Which node of its graph each row is; 0 for padding. Returns int64 [R, N]."""
        position = torch.zeros(self.topology.rows, dtype=torch.int64, device=self.device)
        places = torch.arange(self._row.shape[1], device=self.device).expand_as(self._row)
        position[self._row[self._is_node]] = places[self._is_node]
        return position.view(self.topology.replicas, -1)

    @property
    def sizes(self) -> Tensor:
        """The number of nodes of each graph. Returns [R, B]."""
        return self._is_node.sum(dim=1).view(self.topology.replicas, -1)

    def neighbour_sum(self, x: Tensor) -> Tensor:
        """A X. x: [R, N, F]. Returns [R, N, F]."""
        return neighbour_sum(x, self.topology.transposed)

    def neighbour_mean(self, x: Tensor) -> Tensor:
        """The mean over those a node points to, zero where there are none. x: [R, N, F]. Returns [R, N, F]."""
        return self.neighbour_sum(x) / self.degree.clamp(min=1)

    def mean_with_self(self, x: Tensor) -> Tensor:
        """The mean over each node and those it points to. x: [R, N, F]. Returns [R, N, F]."""
        return (self.neighbour_sum(x) + x) / (self.degree + 1)

    @property
    def squared_norm(self) -> Tensor:
        """‖A‖² over all graphs of a replica: its number of edges. Returns [R]."""
        return self.degree.sum(dim=(1, 2))

    def per_graph(self, x: Tensor) -> Tensor:
        """x: [R, N, F]. Returns [R, B, n, F], n the largest graph of the batch, zero where a graph has no node."""
        rows = x.flatten(0, 1).index_select(0, self._row.flatten())
        rows = rows * self._is_node.flatten()[:, None]
        return rows.view(self.topology.replicas, self.graphs, -1, x.shape[-1])

    @cached_property
    def complement(self) -> "SparseLevel":
        """The complement graphs: an edge between any two nodes that have none."""
        return SparseComplement(self.topology, self.device)

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        """aᵀ b for every graph. a: [R, N, F], b: [R, N, G]. Returns [R, B, F, G]."""
        buckets = self._buckets
        if len(buckets) == 1:
            return self.per_graph(a).transpose(-1, -2) @ self.per_graph(b)
        a, b = a.flatten(0, 1), b.flatten(0, 1)
        products = []
        for graphs in buckets:
            rows = self._row[graphs, : int(self._size[graphs].max())]
            is_node = self._is_node[graphs, : rows.shape[1], None]
            products.append((a[rows] * is_node).transpose(-1, -2) @ b[rows])
        order = torch.cat(buckets).argsort()
        return torch.cat(products).index_select(0, order).unflatten(0, (self.topology.replicas, -1))

    @cached_property
    def _buckets(self) -> list[Tensor]:
        """The graphs, counted over all replicas, by size: one bucket, or more where padding to the largest costs much.

        Within a bucket the largest graph has less than twice the nodes of the smallest.
        """
        everyone = torch.arange(len(self._size), device=self.device)
        if self._row.shape[1] < LARGE or self._row.numel() < 2 * int(self._size.sum()):
            return [everyone]
        power = self._size.log2().floor()
        return [everyone[power == value] for value in power.unique()]

    def to_nodes(self, x: Tensor) -> Tensor:
        """What each graph has, at each of its nodes. x: [R, B, F]. Returns [R, N, F]; undefined in padding rows."""
        return x.flatten(0, 1).index_select(0, self._graph).view(self.topology.replicas, -1, x.shape[-1])

    @cached_property
    def _graph(self) -> Tensor:
        """The graph of each row, counted over all replicas; some graph for padding. int64 [R·N]."""
        graph = torch.from_numpy(self.topology.graph).to(self.device)
        return graph.clamp(max=len(self.topology.start) - 1)


class SetLevel:
    """B sets of k nodes each, without edges."""

    present = None
    """Every row is a node."""

    def __init__(self, replicas: int, graphs: int, nodes: int, device: torch.device) -> None:
        self.replicas, self.graphs, self.nodes, self.device = replicas, graphs, nodes, device

    @property
    def position(self) -> Tensor:
        """Which node of its graph each row is. Returns int64 [R, B·k]."""
        return torch.arange(self.nodes, device=self.device).repeat(self.replicas, self.graphs)

    @property
    def sizes(self) -> Tensor:
        """The number of nodes of each graph. Returns [R, B]."""
        return torch.full((self.replicas, self.graphs), self.nodes, device=self.device)

    def per_graph(self, x: Tensor) -> Tensor:
        """x: [R, B·k, F]. Returns [R, B, k, F]."""
        return x.view(self.replicas, self.graphs, self.nodes, -1)

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        """aᵀ b for every graph. a: [R, B·k, F], b: [R, B·k, G]. Returns [R, B, F, G]."""
        return self.per_graph(a).transpose(-1, -2) @ self.per_graph(b)


class DenseLevel(SetLevel):
    """B graphs of k nodes each, by their weighted adjacency [R, B, k, k]."""

    def __init__(self, adjacency: Tensor) -> None:
        replicas, graphs, nodes, _ = adjacency.shape
        super().__init__(replicas, graphs, nodes, adjacency.device)
        self.adjacency = adjacency

    @property
    def degree(self) -> Tensor:
        """The sum of each row of the adjacency. Returns [R, B·k, 1]."""
        return self.adjacency.sum(dim=-1).view(self.replicas, -1, 1)

    @cached_property
    def complement(self) -> "DenseLevel":
        """The complement graphs.

        Weighted graphs of clusters have none in the strict sense; two clusters are joined by as much as the weight
        of their edge falls short of one, which for weights of zero and one is the complement.
        """
        others = 1 - torch.eye(self.nodes, device=self.device)
        return DenseLevel((1 - self.adjacency).clamp(min=0) * others)

    @property
    def squared_norm(self) -> Tensor:
        """‖A‖² over all graphs of a replica. Returns [R]."""
        return self.adjacency.square().sum(dim=(1, 2, 3))

    def neighbour_sum(self, x: Tensor) -> Tensor:
        """A X. x: [R, B·k, F]. Returns [R, B·k, F]."""
        return (self.adjacency @ self.per_graph(x)).flatten(1, 2)

    def neighbour_mean(self, x: Tensor) -> Tensor:
        """A X / max(rowsum, 1). x: [R, B·k, F]. Returns [R, B·k, F]."""
        return self.neighbour_sum(x) / self.degree.clamp(min=1)

    def mean_with_self(self, x: Tensor) -> Tensor:
        """A X / max(rowsum, 1), the diagonal of A set to one. x: [R, B·k, F]. Returns [R, B·k, F]."""
        to_one = 1 - self.adjacency.diagonal(dim1=-2, dim2=-1).reshape(self.replicas, -1, 1)
        return (self.neighbour_sum(x) + to_one * x) / (self.degree + to_one).clamp(min=1)


class SparseComplement(SparseLevel):
    """The complement graphs of a batch: an edge between any two nodes that have none, no self-loops.

    Their adjacency J − I − A is never made: J X is a sum over each graph.
    """

    @cached_property
    def complement(self) -> SparseLevel:
        """The graphs themselves."""
        return SparseLevel(self.topology, self.device)

    @cached_property
    def degree(self) -> Tensor:
        """The number of other nodes that a node does not point to. Returns [R, N, 1]."""
        others = self.to_nodes((self.sizes - 1).float()[..., None])
        return (others - super().degree) * self.present

    def neighbour_sum(self, x: Tensor) -> Tensor:
        """(J − I − A) X. x: [R, N, F]. Returns [R, N, F]."""
        everyone = self.to_nodes(self.per_graph(x).sum(dim=2))
        return (everyone - x) * self.present - super().neighbour_sum(x)


Level = SparseLevel | DenseLevel
NodeSets = Level | SetLevel
