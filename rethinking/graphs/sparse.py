"""Sparse levels: the edges of a batch's graphs, and their complement graphs (see `levels`); nodes are in `nodes.py`."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from rethinking.graphs.affine import affine
from rethinking.graphs.contract import Contraction, contract
from rethinking.graphs.convolve import convolve
from rethinking.graphs.hops import all_hop_distances
from rethinking.graphs.kinds import OneHot, convolve_kinds
from rethinking.graphs.last import Last
from rethinking.graphs.means import neighbour_mean
from rethinking.graphs.messages import message_sum
from rethinking.graphs.nodes import SparseNodes
from rethinking.graphs.own_sum import sum_with_own
from rethinking.graphs.rest import rest_sum
from rethinking.graphs.segments import Segments, segment_mean, segment_sum
from rethinking.graphs.topology import Topology


class SparseLevel(SparseNodes):
    """The graphs of a batch, by their topology, on a device.

    one_hot: set to the nodes' features where they are of that form, so that their convolution is a look-up.
    drawn: clusters that were drawn before the step, and their level, by pooling layer (`rethinking/pooling/drawn.py`).
    """

    one_hot: OneHot | None = None

    @cached_property
    def drawn(self) -> "dict[Any, tuple[Any, SparseLevel]]":
        """Filled and read by `pooling/drawn.py`."""
        return {}

    @cached_property
    def _last_mean(self) -> Last:
        return Last()

    def coarser(self, topology: Topology, same_always: bool) -> "SparseLevel":
        """The next level. same_always: whether a graph is coarsened alike every time."""
        return SparseLevel(topology, self.device, self._keys, self.depth + 1, self.origin if same_always else None)

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

    @cached_property
    def _incoming(self) -> Segments:
        """The nodes that point to each node."""
        top = self.topology
        return Segments(*map(self._tensor, (top.in_ptr, top.in_rows, top.out_ptr, top.out_rows)))

    @cached_property
    def _outgoing(self) -> Segments:
        """The nodes that each node points to."""
        return self._incoming.transposed if self.topology.directed else self._incoming


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
