"""Sparse levels: the graphs of a batch by their edges, and their complement graphs (see `levels`)."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rethinking.graphs.affine import affine
from rethinking.graphs.contract import Contraction, contract
from rethinking.graphs.convolve import convolve
from rethinking.graphs.hops import all_hop_distances
from rethinking.graphs.kinds import convolve_kinds
from rethinking.graphs.last import Last
from rethinking.graphs.means import neighbour_mean
from rethinking.graphs.messages import message_sum
from rethinking.graphs.own_sum import sum_with_own
from rethinking.graphs.products import from_places, graph_product, places
from rethinking.graphs.rest import rest_sum
from rethinking.graphs.segments import (
    Segments,
    segment_max,
    segment_mean,
    segment_sum,
)
from rethinking.graphs.topology import Topology
from rethinking.randomness import derive


@dataclass(frozen=True)
class Origin:
    """Which graphs of a data set a level has.

    graphs: int64 [R·B]. kept: what has been computed once for each graph, by who computed it and then by graph.
    """

    graphs: np.ndarray
    kept: dict[Hashable, dict[int, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class OneHot:
    """Features with a single one in every row. x: [R, N, F]. kinds: int64 [R, N], the column that has it."""

    x: Tensor
    kinds: Tensor


class SparseLevel:
    """The graphs of a batch, by their topology, on a device.

    keys: uint64 [R·B], a random stream for each graph; None where nothing is to be drawn. depth: how many pooling
    layers came before. origin: which graphs these are, as long as nothing random or learned has changed them.
    one_hot: set to the nodes' features where they are of that form, so that their convolution is a look-up.
    drawn: clusters that were drawn before the step, and their level, by pooling layer (`rethinking/pooling/drawn.py`).
    """

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
        self.one_hot: OneHot | None = None
        self.drawn: dict[Any, tuple[Any, SparseLevel]] = {}
        self._last_mean = Last()
        self.replicas = topology.replicas
        self.graphs = len(topology.start) // topology.replicas

    @property
    def keys(self) -> np.ndarray:
        """A random stream of this level for each graph, uint64 [R·B]. Raises ValueError if there is none."""
        if self._keys is None:
            raise ValueError("nothing can be drawn on this level: it was made without random streams")
        return derive(self._keys, np.full(len(self._keys), self.depth))

    def coarser(self, topology: Topology, same_always: bool) -> "SparseLevel":
        """The next level. same_always: whether a graph is coarsened alike every time."""
        return SparseLevel(topology, self.device, self._keys, self.depth + 1, self.origin if same_always else None)

    # ---- nodes and graphs

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
        places = torch.arange(self._row.shape[1], device=self.device).expand_as(self._row)
        return self.from_graphs(places.view(self.replicas, self.graphs, -1, 1)).squeeze(-1)

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

    # ---- edges

    @property
    def directed(self) -> bool:
        """Whether some edge has no reverse."""
        return self.topology.directed

    @cached_property
    def degree(self) -> Tensor:
        """The sum of each row of A: the number of edges that leave a node. Returns [R, N, 1]."""
        return self._outgoing.count.view(self.replicas, -1, 1).float()

    @cached_property
    def squared_norm(self) -> Tensor:
        """‖A‖² over all graphs of a replica: its number of edges. Returns [R]."""
        return self.degree.sum(dim=(1, 2))

    def neighbour_sum(self, x: Tensor) -> Tensor:
        """A X. x: [R, N, F]. Returns [R, N, F]."""
        return segment_sum(x, self._outgoing).view_as(x)

    def neighbour_mean(self, x: Tensor) -> Tensor:
        """The mean over those a node points to, zero where there are none. x: [R, N, F]. Returns [R, N, F]."""
        return self._mean(x, own=False)

    def mean_with_self(self, x: Tensor) -> Tensor:
        """The mean over each node and those it points to. x: [R, N, F]. Returns [R, N, F]."""
        return self._mean(x, own=True)

    def _mean(self, x: Tensor, own: bool) -> Tensor:
        # In DiffPool the Select and the embedding see the same features, one after the other.
        return self._last_mean.get(x, own, lambda: neighbour_mean(x, self._outgoing, own))

    def convolve_incoming(self, x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
        """[X | Aᵀ X] W + b, and ReLU. x: [R, N, F]. weight: [R, 2·F, G]. bias: [R, 1, G]. Returns [R, N, G]."""
        return self._convolve(x, weight, bias, self._incoming, relu)

    def convolve_outgoing(self, x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
        """[X | A X] W + b, and ReLU. x: [R, N, F]. weight: [R, 2·F, G]. bias: [R, 1, G]. Returns [R, N, G]."""
        return self._convolve(x, weight, bias, self._outgoing, relu)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor, segments: Segments, relu: bool) -> Tensor:
        if self.one_hot is not None and x is self.one_hot.x and not x.requires_grad:
            return convolve_kinds(self.one_hot.kinds, weight, bias, segments, self.node_count, relu)
        return convolve(x, weight, bias, segments, self.node_count, relu)

    def contract(self, s: Tensor) -> Contraction:
        """Sᵀ A S, its trace and that of Sᵀ D S. s: [R, N, k]."""
        return contract(s, self._outgoing, *self.spans, self.directed)

    def incoming_sum(self, x: Tensor) -> Tensor:
        """Aᵀ X, the sum over those that point to a node, as PyG's sparse convolutions. x: [R, N, F]."""
        return segment_sum(x, self._incoming).view_as(x)

    def incoming_sum_with_own(self, x: Tensor, own: Tensor) -> Tensor:
        """own · X + Aᵀ X. x: [R, N, F]. own: [R, 1, 1]. Returns [R, N, F]."""
        return sum_with_own(x, own, self._incoming)

    def incoming_mean(self, x: Tensor) -> Tensor:
        """The mean over those that point to a node, zero where there are none. x: [R, N, F]. Returns [R, N, F]."""
        return segment_mean(x, self._incoming).view_as(x)

    def mean_convolve_incoming(self, x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
        """[X | means over those that point to a node] W + b, and ReLU; as `convolve_incoming`."""
        return convolve(x, weight, bias, self._incoming, self.node_count, relu, mean=True)

    @cached_property
    def edge_index(self) -> Tensor:
        """The edges in PyG's form, (source row, target row), rows counted over all replicas. Returns int64 [2, E].

        The target of what is no edge is R·N; see `Topology`.
        """
        return self._tensor(self.topology.edge_index)

    @cached_property
    def edge_fields(self) -> Tensor:
        """The categorical features of each edge. Returns int64 [E, fields]. Raises ValueError if there are none."""
        if self.topology.edge_fields is None:
            raise ValueError("the edges of this data set have no categorical features")
        return self._tensor(self.topology.edge_fields)

    def message_sum(self, x: Tensor, table: Tensor, own: Tensor, labels: Tensor) -> Tensor:
        """Σ_j ReLU(x_j + Σ_q table[label_q of j → i]) + ReLU(x_i + own), over those that point to a node.

        x: [R, N, F]. table: [R, T, F]. own: [R, 1, F]. labels: int64 [E, Q], beside `edge_fields`. Returns [R, N, F].
        """
        return message_sum(x, table, own, self._incoming, labels)

    @cached_property
    def adjacency(self) -> Tensor:
        """A of each graph as a matrix. Returns [R, B, n, n], zero where a graph has no node."""
        source, target = self._tensor(self.topology.edge_index)
        rows = self.topology.rows
        # A column for each place in a graph, so that rows of the level become rows of the matrices. One row more takes
        # what is no edge.
        columns = torch.zeros(rows + 1, self._row.shape[1], device=self.device)
        columns[torch.where(target < rows, source, rows), self.position.flatten()[target.clamp(max=rows - 1)]] = 1
        return self.per_graph(columns[:-1].view(self.replicas, self.topology.width, -1))

    @cached_property
    def hops(self) -> Tensor:
        """The number of steps between two nodes of a graph, along edges in either direction.

        Returns [R, B, n, n], infinite where there is no way and where a graph has no node.
        """
        return all_hop_distances(self.adjacency, self._size)

    @cached_property
    def complement(self) -> "SparseLevel":
        """The complement graphs: an edge between any two nodes that have none."""
        return SparseComplement(self.topology, self.device, self._keys, self.depth)

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
    def _incoming(self) -> Segments:
        """The nodes that point to each node."""
        top = self.topology
        return Segments(*map(self._tensor, (top.in_ptr, top.in_rows, top.out_ptr, top.out_rows)))

    @cached_property
    def _outgoing(self) -> Segments:
        """The nodes that each node points to."""
        return self._incoming.transposed if self.topology.directed else self._incoming

    @cached_property
    def _nodes(self) -> Segments:
        """The nodes of each graph."""
        return Segments(*map(self._tensor, self.topology.members))


class SparseComplement(SparseLevel):
    """The complement graphs of a batch: an edge between any two nodes that have none, no self-loops.

    Their adjacency J − I − A is never made for the sums: J X is a sum over each graph. Its edges are not listed, and
    `topology` is that of the graphs themselves.
    """

    @property
    def edge_index(self) -> Tensor:
        """Raises ValueError: there is no list of edges."""
        raise ValueError("the edges of complement graphs are not listed; use neighbour_sum or adjacency")

    @property
    def edge_fields(self) -> Tensor:
        """Raises ValueError: there is no list of edges."""
        raise ValueError("the edges of complement graphs have no features")

    @cached_property
    def complement(self) -> SparseLevel:
        """The graphs themselves."""
        return SparseLevel(self.topology, self.device, self._keys, self.depth)

    @cached_property
    def degree(self) -> Tensor:
        """The number of other nodes that a node does not point to. Returns [R, N, 1]."""
        others = self.to_nodes((self.sizes - 1).float()[..., None])
        return (others - super().degree) * self.present

    def neighbour_mean(self, x: Tensor) -> Tensor:
        """The mean over those a node does not point to, zero where there are none. x: [R, N, F]. Returns [R, N, F]."""
        return self.neighbour_sum(x) / self.degree.clamp(min=1)

    def mean_with_self(self, x: Tensor) -> Tensor:
        """The mean over each node and those it does not point to. x: [R, N, F]. Returns [R, N, F]."""
        return rest_sum(x, self._outgoing, self._start, self._size, own=True) / (self.degree + 1)

    def neighbour_sum(self, x: Tensor) -> Tensor:
        """(J − I − A) X. x: [R, N, F]. Returns [R, N, F]."""
        return rest_sum(x, self._outgoing, self._start, self._size, own=False)

    def contract(self, s: Tensor) -> Contraction:
        """Sᵀ (J − I − A) S, its trace and that of the degrees. s: [R, N, k]."""
        return contract(s, self._outgoing, *self.spans, self.directed, complement=True)

    def incoming_sum(self, x: Tensor) -> Tensor:
        """(J − I − A)ᵀ X. x: [R, N, F]. Returns [R, N, F]."""
        return rest_sum(x, self._incoming, self._start, self._size, own=False)

    def incoming_sum_with_own(self, x: Tensor, own: Tensor) -> Tensor:
        """own · X + (J − I − A)ᵀ X. x: [R, N, F]. own: [R, 1, 1]. Returns [R, N, F]."""
        return own * x + self.incoming_sum(x)

    def incoming_mean(self, x: Tensor) -> Tensor:
        """The mean over the nodes that do not point to a node. x: [R, N, F]. Returns [R, N, F]."""
        return self.incoming_sum(x) / self.incoming_sum(torch.ones_like(x[..., :1])).clamp(min=1)

    def convolve_incoming(self, x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
        """[X | Aᵀ X] W + b, and ReLU; see `SparseLevel`."""
        out = affine(torch.cat([x, self.incoming_sum(x)], dim=-1), weight, bias)
        return torch.relu_(out) if relu else out

    def convolve_outgoing(self, x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
        """[X | A X] W + b, and ReLU; see `SparseLevel`."""
        out = affine(torch.cat([x, self.neighbour_sum(x)], dim=-1), weight, bias)
        return torch.relu_(out) if relu else out

    def mean_convolve_incoming(self, x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
        """[X | means over the nodes that do not point to a node] W + b, and ReLU; see `SparseLevel`."""
        out = affine(torch.cat([x, self.incoming_mean(x)], dim=-1), weight, bias)
        return torch.relu_(out) if relu else out

    @cached_property
    def adjacency(self) -> Tensor:
        """J − I − A of each graph as a matrix. Returns [R, B, n, n], zero where a graph has no node."""
        is_node = self._is_node.view(self.replicas, self.graphs, -1)
        pairs = is_node[..., None] & is_node[..., None, :]
        others = pairs & ~torch.eye(pairs.shape[-1], dtype=torch.bool, device=self.device)
        return others * (1 - super().adjacency)
