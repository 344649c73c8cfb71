"""A level of coarsening as the dense families see it: sparse graphs first, small dense graphs after a pooling layer.

Node features are `[R, N, F]` on both; N is the width of the topology on a sparse level, and B·k on a dense one.
"""

from functools import cached_property

import torch
from torch import Tensor

from rethinking.models.aggregation import neighbour_sum
from rethinking.pooling.topology import Topology


class SparseLevel:
    """The graphs of a batch, by their topology, on a device."""

    def __init__(self, topology: Topology, device: torch.device) -> None:
        self.topology = topology
        self.graphs = len(topology.start) // topology.replicas
        start = torch.from_numpy(topology.start).to(device)[:, None]
        size = torch.from_numpy(topology.size).to(device)[:, None]
        place = torch.arange(int(topology.size.max()), device=device)[None]
        # [R·B, n]: which row is node i of graph g, and whether there is one.
        self._present = place < size
        self._row = torch.where(self._present, start + place, 0)

    @cached_property
    def degree(self) -> Tensor:
        """The number of in-neighbours of each node. Returns [R, N, 1]."""
        pointer = torch.from_numpy(self.topology.in_ptr).to(self._row.device)
        return pointer.diff().view(self.topology.replicas, -1, 1).float()

    @cached_property
    def position(self) -> Tensor:
        """Which node of its graph each row is; 0 for padding. Returns int64 [R, N]."""
        position = torch.zeros(self.topology.rows, dtype=torch.int64, device=self._row.device)
        places = torch.arange(self._row.shape[1], device=self._row.device).expand_as(self._row)
        position[self._row[self._present]] = places[self._present]
        return position.view(self.topology.replicas, -1)

    @property
    def sizes(self) -> Tensor:
        """The number of nodes of each graph. Returns [R, B]."""
        return self._present.sum(dim=1).view(self.topology.replicas, -1)

    def neighbour_sum(self, x: Tensor) -> Tensor:
        """A X. x: [R, N, F]. Returns [R, N, F]."""
        return neighbour_sum(x, self.topology)

    def mean_with_self(self, x: Tensor) -> Tensor:
        """The mean over each node and its in-neighbours. x: [R, N, F]. Returns [R, N, F]."""
        return (self.neighbour_sum(x) + x) / (self.degree + 1)

    @property
    def squared_norm(self) -> Tensor:
        """‖A‖² over all graphs of a replica: its number of edges. Returns [R]."""
        return self.degree.sum(dim=(1, 2))

    def per_graph(self, x: Tensor) -> Tensor:
        """x: [R, N, F]. Returns [R, B, n, F], n the largest graph of the batch, zero where a graph has no node."""
        rows = x.flatten(0, 1).index_select(0, self._row.flatten())
        rows = rows * self._present.flatten()[:, None]
        return rows.view(self.topology.replicas, self.graphs, -1, x.shape[-1])


class DenseLevel:
    """B graphs of k nodes each, by their weighted adjacency [R, B, k, k]; row i holds what node i receives."""

    def __init__(self, adjacency: Tensor) -> None:
        self.adjacency = adjacency
        self.replicas, self.graphs, self.nodes, _ = adjacency.shape

    @property
    def degree(self) -> Tensor:
        """The sum of each row of the adjacency. Returns [R, B·k, 1]."""
        return self.adjacency.sum(dim=-1).view(self.replicas, -1, 1)

    @property
    def position(self) -> Tensor:
        """Which node of its graph each row is. Returns int64 [R, B·k]."""
        places = torch.arange(self.nodes, device=self.adjacency.device)
        return places.repeat(self.replicas, self.graphs)

    @property
    def sizes(self) -> Tensor:
        """The number of nodes of each graph. Returns [R, B]."""
        return torch.full((self.replicas, self.graphs), self.nodes, device=self.adjacency.device)

    def neighbour_sum(self, x: Tensor) -> Tensor:
        """A X. x: [R, B·k, F]. Returns [R, B·k, F]."""
        return (self.adjacency @ self.per_graph(x)).flatten(1, 2)

    def mean_with_self(self, x: Tensor) -> Tensor:
        """A X / max(rowsum, 1), the diagonal of A set to one. x: [R, B·k, F]. Returns [R, B·k, F]."""
        to_one = 1 - self.adjacency.diagonal(dim1=-2, dim2=-1).reshape(self.replicas, -1, 1)
        return (self.neighbour_sum(x) + to_one * x) / (self.degree + to_one).clamp(min=1)

    @property
    def squared_norm(self) -> Tensor:
        """‖A‖² over all graphs of a replica. Returns [R]."""
        return self.adjacency.square().sum(dim=(1, 2, 3))

    def per_graph(self, x: Tensor) -> Tensor:
        """x: [R, B·k, F]. Returns [R, B, k, F]."""
        return x.view(self.replicas, self.graphs, self.nodes, -1)


Level = SparseLevel | DenseLevel
