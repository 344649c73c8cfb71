"""Dense levels: clusters of every graph, as many for each, without edges or with a matrix of weights (see `levels`)."""

from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rethinking.graphs.contract import Contraction
from rethinking.graphs.dense_contract import dense_contract
from rethinking.graphs.dense_convolve import dense_convolve
from rethinking.graphs.dense_means import dense_mean
from rethinking.graphs.hops import all_hop_distances
from rethinking.graphs.last import Last
from rethinking.graphs.matrices import matmul
from rethinking.graphs.segments import Segments, segment_max


class SetLevel:
    """B sets of k nodes each, without edges."""

    origin = None
    """Clusters are made anew every time."""

    drawn = MappingProxyType[Any, Any]({})
    """Nothing is drawn of it before a step."""

    numbers: np.ndarray | None = None
    """Which graphs of the data set these are, int64 [R·B], where a pooling layer that asks for it has noted it."""

    present = None
    """Every row is a node."""

    def __init__(self, replicas: int, graphs: int, nodes: int, device: torch.device) -> None:
        self.replicas, self.graphs, self.nodes, self.device = replicas, graphs, nodes, device

    @property
    def width(self) -> int:
        """N, the rows of a replica."""
        return self.graphs * self.nodes

    @cached_property
    def sizes(self) -> Tensor:
        """The number of nodes of each graph. Returns [R, B]."""
        return torch.full((self.replicas, self.graphs), self.nodes, device=self.device)

    @cached_property
    def node_count(self) -> Tensor:
        """The number of nodes of each replica. Returns int64 [R]."""
        return self.sizes.sum(dim=1)

    @property
    def padded_count(self) -> Tensor:
        """The same: all graphs are of one size."""
        return self.node_count

    @property
    def position(self) -> Tensor:
        """Which node of its graph each row is. Returns int64 [R, B·k]."""
        return torch.arange(self.nodes, device=self.device).repeat(self.replicas, self.graphs)

    @property
    def graph_of_row(self) -> np.ndarray:
        """The graph of each row, counted over all replicas. Returns int64 [R·B·k]."""
        return np.repeat(np.arange(self.replicas * self.graphs), self.nodes)

    def rows_of(self, graph: int) -> slice:
        """Where the nodes of a graph lie, both counted over all replicas."""
        return slice(graph * self.nodes, (graph + 1) * self.nodes)

    @cached_property
    def spans(self) -> tuple[Tensor, Tensor, int]:
        """Each graph's first row, counted over all replicas, its number of rows, int64 [R·B]; the largest number."""
        size = self.sizes.flatten()
        return torch.arange(len(size), device=self.device) * self.nodes, size, self.nodes

    def per_graph(self, x: Tensor) -> Tensor:
        """x: [R, B·k, F]. Returns [R, B, k, F]."""
        return x.view(self.replicas, self.graphs, self.nodes, -1)

    def from_graphs(self, x: Tensor) -> Tensor:
        """The inverse of `per_graph`. x: [R, B, k, F]. Returns [R, B·k, F]."""
        return x.flatten(1, 2)

    def to_nodes(self, x: Tensor) -> Tensor:
        """What each graph has, at each of its nodes. x: [R, B, F]. Returns [R, B·k, F]."""
        return x.repeat_interleave(self.nodes, dim=1)

    def graph_sum(self, x: Tensor) -> Tensor:
        """The sum over the nodes of each graph. x: [R, B·k, F]. Returns [R, B, F]."""
        return self.per_graph(x).sum(dim=2)

    def graph_mean(self, x: Tensor) -> Tensor:
        """The mean over the nodes of each graph. x: [R, B·k, F]. Returns [R, B, F]."""
        return self.per_graph(x).mean(dim=2)

    def graph_max(self, x: Tensor) -> Tensor:
        """The maximum over the nodes of each graph. x: [R, B·k, F]. Returns [R, B, F]."""
        return segment_max(x, self._nodes).view(self.replicas, self.graphs, -1)

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        """aᵀ b for every graph. a: [R, B·k, F], b: [R, B·k, G]. Returns [R, B, F, G]."""
        return matmul(self.per_graph(a).mT, self.per_graph(b))

    @cached_property
    def _nodes(self) -> Segments:
        """The nodes of each graph."""
        rows = torch.arange(self.replicas * self.graphs * self.nodes, device=self.device)
        ptr = torch.arange(self.replicas * self.graphs + 1, device=self.device)
        return Segments(ptr * self.nodes, rows, torch.arange(len(rows) + 1, device=self.device), rows // self.nodes)


class DenseLevel(SetLevel):
    """B graphs of k nodes each, by their weighted adjacency [R, B, k, k]."""

    def __init__(self, adjacency: Tensor, directed: bool = True) -> None:
        """directed: whether some of the matrices are not symmetric, but for rounding."""
        replicas, graphs, nodes, _ = adjacency.shape
        super().__init__(replicas, graphs, nodes, adjacency.device)
        self.adjacency = adjacency
        self._last_mean = Last()
        self.directed = directed

    @cached_property
    def hops(self) -> Tensor:
        """The number of steps between two nodes of a graph, along edges of any weight. Returns [R, B, k, k]."""
        return all_hop_distances(self.adjacency, self.sizes.flatten())

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
        others = 1 - torch.eye(self.nodes, dtype=self.adjacency.dtype, device=self.device)
        return DenseLevel(torch.addcmul(others, self.adjacency, others, value=-1).relu_(), self.directed)

    @property
    def squared_norm(self) -> Tensor:
        """‖A‖² over all graphs of a replica. Returns [R]."""
        return self.adjacency.square().sum(dim=(1, 2, 3))

    def neighbour_sum(self, x: Tensor) -> Tensor:
        """A X. x: [R, B·k, F]. Returns [R, B·k, F]."""
        return matmul(self.adjacency, self.per_graph(x)).flatten(1, 2)

    def neighbour_mean(self, x: Tensor) -> Tensor:
        """A X / max(rowsum, 1). x: [R, B·k, F]. Returns [R, B·k, F]."""
        return self._mean(x, own=False)

    def mean_with_self(self, x: Tensor) -> Tensor:
        """A X / max(rowsum, 1), the diagonal of A set to one. x: [R, B·k, F]. Returns [R, B·k, F]."""
        return self._mean(x, own=True)

    def _mean(self, x: Tensor, own: bool) -> Tensor:
        return self._last_mean.get(x, own, lambda: dense_mean(self.adjacency, x, own))

    def contract(self, s: Tensor) -> Contraction:
        """Sᵀ A S, its trace and that of Sᵀ D S. s: [R, B·k, k']."""
        return dense_contract(self.per_graph(s).flatten(0, 1), self.adjacency.flatten(0, 1), self.directed)

    def incoming_sum(self, x: Tensor) -> Tensor:
        """Aᵀ X. x: [R, B·k, F]. Returns [R, B·k, F]."""
        return matmul(self.adjacency.mT, self.per_graph(x)).flatten(1, 2)

    def incoming_mean(self, x: Tensor) -> Tensor:
        """Aᵀ X / max(column sum, 1). x: [R, B·k, F]. Returns [R, B·k, F]."""
        return self.incoming_sum(x) / self.adjacency.sum(dim=-2).view(self.replicas, -1, 1).clamp(min=1)

    def convolve_incoming(self, x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
        """[X | Aᵀ X] W + b, and ReLU; see `SparseLevel`."""
        out = dense_convolve(x, self.adjacency.mT, weight, bias)
        return torch.relu_(out) if relu else out

    def convolve_outgoing(self, x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
        """[X | A X] W + b, and ReLU; see `SparseLevel`."""
        out = dense_convolve(x, self.adjacency, weight, bias)
        return torch.relu_(out) if relu else out
