"""The nodes of a batch's sparse graphs: which graphs they are, their random streams, where nodes lie, sums over graphs.

Edges are in `sparse.py`.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rethinking.draws import derive
from rethinking.graphs.products import from_places, graph_product, places
from rethinking.graphs.segments import Segments, segment_max, segment_mean, segment_sum
from rethinking.graphs.topology import Topology


@dataclass(frozen=True)
class Origin:
    """Which graphs of a data set a level has.

    graphs: int64 [R·B]. kept: what has been computed once for each graph, by who computed it and then by graph.
    """

    graphs: np.ndarray
    kept: dict[Hashable, dict[int, Any]] = field(default_factory=dict)


class SparseNodes:
    """The nodes of the graphs of a batch, by their topology, on a device.

    keys: uint64 [R·B], a random stream for each graph; None where nothing is to be drawn. depth: how many pooling
    layers came before. origin: which graphs these are, as long as nothing random or learned has changed them.
    """

    numbers: np.ndarray | None = None
    """Which graphs of the data set these are, int64 [R·B], where a pooling layer that asks for it has noted it."""

    def __init__(
        self,
        topology: Topology,
        device: torch.device,
        keys: np.ndarray | None = None,
        depth: int = 0,
        origin: Origin | None = None,
    ) -> None:
        self.topology = topology
        self.device = device
        self._keys = keys
        self.depth = depth
        self.origin = origin
        self.replicas = topology.replicas
        self.graphs = len(topology.start) // topology.replicas

    @property
    def width(self) -> int:
        """N, the rows of a replica: the nodes of the largest batch among them."""
        return self.topology.width

    @property
    def keys(self) -> np.ndarray:
        """A random stream of this level for each graph, uint64 [R·B]. Raises ValueError if there is none."""
        if self._keys is None:
            raise ValueError("nothing can be drawn on this level: it was made without random streams")
        return derive(self._keys, np.full(len(self._keys), self.depth))

    @cached_property
    def present(self) -> Tensor:
        """Whether each row is a node and not padding. Returns bool [R, N, 1]."""
        return (self._tensor(self.topology.graph) < len(self.topology.start)).view(self.replicas, -1, 1)

    @cached_property
    def sizes(self) -> Tensor:
        """The number of nodes of each graph. Returns [R, B]."""
        return self._size.view(self.replicas, -1)

    @cached_property
    def node_count(self) -> Tensor:
        """The number of nodes of each replica, its first rows. Returns int64 [R]."""
        return self.sizes.sum(dim=1)

    @cached_property
    def padded_count(self) -> Tensor:
        """How many they were if every graph were as large as the replica's largest. Returns int64 [R]."""
        return self.graphs * self.sizes.amax(dim=1)

    @cached_property
    def position(self) -> Tensor:
        """Which node of its graph each row is; 0 for padding. Returns int64 [R, N]."""
        rows = torch.arange(self.topology.rows, device=self.device)
        return (rows - self._start[self._graph]).view(self.replicas, -1).masked_fill(~self.present.squeeze(-1), 0)

    @property
    def graph_of_row(self) -> np.ndarray:
        """The graph of each row, counted over all replicas; R·B for padding. Returns int64 [R·N]."""
        return self.topology.graph

    def rows_of(self, graph: int) -> slice:
        """Where the nodes of a graph lie, both counted over all replicas."""
        first = int(self.topology.start[graph])
        return slice(first, first + int(self.topology.size[graph]))

    @property
    def spans(self) -> tuple[Tensor, Tensor, int]:
        """Each graph's first row, counted over all replicas, its number of rows, int64 [R·B]; the largest number."""
        return self._start, self._size, self.topology.largest

    def per_graph(self, x: Tensor) -> Tensor:
        """x: [R, N, F]. Returns [R, B, n, F], n the largest graph of the batch, zero where a graph has no node."""
        rows = x.flatten(0, 1).index_select(0, self._row.flatten())
        rows = rows * self._is_node.flatten()[:, None]
        return rows.view(self.replicas, self.graphs, self._row.shape[1], x.shape[-1])

    def from_graphs(self, x: Tensor) -> Tensor:
        """The inverse of `per_graph`. x: [R, B, n, F]. Returns [R, N, F], zero in padding rows."""
        rows = from_places(x.flatten(0, 1), *self._places, self.topology.rows)
        return rows.view(self.replicas, self.topology.width, x.shape[-1])

    def to_nodes(self, x: Tensor) -> Tensor:
        """What each graph has, at each of its nodes. x: [R, B, F]. Returns [R, N, F]; undefined in padding rows."""
        return x.flatten(0, 1).index_select(0, self._graph).view(self.replicas, self.topology.width, x.shape[-1])

    def graph_sum(self, x: Tensor) -> Tensor:
        """The sum over the nodes of each graph. x: [R, N, F]. Returns [R, B, F]."""
        return segment_sum(x, self._nodes).view(self.replicas, self.graphs, x.shape[-1])

    def graph_mean(self, x: Tensor) -> Tensor:
        """The mean over the nodes of each graph. x: [R, N, F]. Returns [R, B, F]."""
        return segment_mean(x, self._nodes).view(self.replicas, self.graphs, x.shape[-1])

    def graph_max(self, x: Tensor) -> Tensor:
        """The maximum over the nodes of each graph. x: [R, N, F]. Returns [R, B, F]."""
        return segment_max(x, self._nodes).view(self.replicas, self.graphs, x.shape[-1])

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        """aᵀ b for every graph. a: [R, N, F], b: [R, N, G]. Returns [R, B, F, G]."""
        products = graph_product(a, b, *self.spans)
        return products.view(self.replicas, self.graphs, *products.shape[1:])

    # ---- how they lie in memory

    def _tensor(self, array: np.ndarray | Tensor) -> Tensor:
        # A `FixedTopology` has tensors already.
        return array if isinstance(array, Tensor) else torch.from_numpy(array).to(self.device)

    @cached_property
    def _size(self) -> Tensor:
        return self._tensor(self.topology.size)

    @cached_property
    def _start(self) -> Tensor:
        return self._tensor(self.topology.start)

    @cached_property
    def _places(self) -> tuple[Tensor, Tensor]:
        """Which row is node i of graph g, [R·B, n], and whether there is one; if not, the graph's first node."""
        return places(self._start, self._size, self.topology.largest)

    @property
    def _row(self) -> Tensor:
        return self._places[0]

    @property
    def _is_node(self) -> Tensor:
        return self._places[1]

    @cached_property
    def _graph(self) -> Tensor:
        """The graph of each row, counted over all replicas; for padding the first one of its replica. int64 [R·N]."""
        first = torch.arange(self.topology.rows, device=self.device) // self.topology.width * self.graphs
        return torch.where(self.present.flatten(), self._tensor(self.topology.graph), first)

    @cached_property
    def _nodes(self) -> Segments:
        """The nodes of each graph."""
        return Segments(*map(self._tensor, self.topology.members))
