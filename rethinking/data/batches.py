"""Batches of R replicas: graphs of a data set laid out side by side, without a Python loop over graphs."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.data.dataset import GraphDataset
from rethinking.draws import derive
from rethinking.graphs.kinds import OneHot
from rethinking.graphs.nodes import Origin
from rethinking.graphs.sparse import SparseLevel
from rethinking.graphs.topology import Topology, expand, pack


@dataclass(frozen=True)
class Batch:
    """One step's graphs.

    x: [R, N, F] on the device, zero in padding rows. y: [R, B] on the device. level: the graphs, each with its
    `matching` stream.
    """

    x: Tensor
    y: Tensor
    level: SparseLevel


class Batches:
    """Cuts graphs of a data set into batches of R replicas, on one device."""

    def __init__(self, dataset: GraphDataset, device: torch.device) -> None:
        self.dataset = dataset
        # One more row, of zeros, for padding to point at.
        padded = np.concatenate([dataset.x, np.zeros((1, dataset.in_features), dataset.x.dtype)])
        self.x = torch.from_numpy(padded).to(device)
        kinds = dataset.kinds
        self.kinds = None if kinds is None else torch.from_numpy(np.append(kinds, 0)).to(device)
        self.y = torch.from_numpy(dataset.y).to(device)
        self.device = device
        # What Selects have computed once for each graph.
        self._kept: dict[Hashable, dict[int, Any]] = {}

    def __call__(self, order: np.ndarray, size: int, keys: np.ndarray) -> Iterator[Batch]:
        """The graphs of `order`, `size` at a time.

        order: int64 [R, M], the graphs each replica sees. keys: uint64 [R], a stream each.
        """
        for first in range(0, order.shape[1], size):
            yield self.batch(order[:, first : first + size], keys)

    def batch(self, graphs: np.ndarray, keys: np.ndarray) -> Batch:
        """The batch of `graphs`, int64 [R, B], in one step."""
        level, nodes = self.level(graphs, keys, self.device)
        rows, places = (torch.from_numpy(array).to(self.device) for array in (nodes, graphs))
        x, y = look_up(self.x, self.y, rows, places)
        if self.kinds is not None:
            level.one_hot = OneHot(x, self.kinds.index_select(0, rows).view(x.shape[:2]))
        return Batch(x, y, level)

    def level(self, graphs: np.ndarray, keys: np.ndarray, device: torch.device) -> tuple[SparseLevel, np.ndarray]:
        """The graphs of a batch alone, on any device; and the data set's node in each row, int64 [R·N]."""
        topology, nodes = lay_out(self.dataset, graphs)
        graph_keys = derive(np.repeat(keys, graphs.shape[1]), graphs.ravel())
        return SparseLevel(topology, device, graph_keys, origin=Origin(graphs.ravel(), self._kept)), nodes


def look_up(x: Tensor, y: Tensor, nodes: Tensor, graphs: Tensor) -> tuple[Tensor, Tensor]:
    """Features [R, N, F] and targets [R, B] of a batch, from those of `Batches`, on the device.

    nodes: int64 [R·N], the data set's node in each row. graphs: int64 [R, B].
    """
    return x.index_select(0, nodes).view(len(graphs), -1, x.shape[1]), y[graphs]


def lay_out(dataset: GraphDataset, graphs: np.ndarray) -> tuple[Topology, np.ndarray]:
    """Place the graphs of R batches side by side.

    graphs: int64 [R, B]. Returns the topology and, int64 [R·N], the data set's node in each row
    (the number of nodes for padding).
    """
    replicas = len(graphs)
    flat = np.ascontiguousarray(graphs).ravel()
    first = dataset.node_ptr[flat]
    size = dataset.sizes[flat]
    width, start = pack(replicas, size)
    rows = replicas * width
    in_ptr, in_rows = _copy_edges(first, size, start, rows, dataset.in_ptr, dataset.in_rows)
    out_ptr, out_rows = in_ptr, in_rows
    if dataset.directed:
        out_ptr, out_rows = _copy_edges(first, size, start, rows, dataset.out_ptr, dataset.out_rows)
    nodes = _nodes(first, size, start, rows, len(dataset.x))
    edge_fields = None
    if dataset.edge_fields is not None:
        first_edge = dataset.in_ptr[first]
        edge_fields = dataset.edge_fields[expand(first_edge, dataset.in_ptr[first + size] - first_edge)]
    return Topology(replicas, width, start, size, in_ptr, in_rows, out_ptr, out_rows, edge_fields), nodes


@njit(cache=True, nogil=True)
def _nodes(first, size, start, rows, padding):
    nodes = np.full(rows, padding, np.int64)
    for graph in range(len(first)):
        for i in range(size[graph]):
            nodes[start[graph] + i] = first[graph] + i
    return nodes


@njit(cache=True, nogil=True)
def _copy_edges(first, size, start, rows, edge_ptr, edge_rows):
    edges = 0
    for graph in range(len(first)):
        edges += edge_ptr[first[graph] + size[graph]] - edge_ptr[first[graph]]
    ptr = np.empty(rows + 1, np.int64)
    copied = np.empty(edges, np.int64)
    filled = 0
    row = 0
    ptr[0] = 0
    for graph in range(len(first)):
        for padding in range(row, start[graph]):
            ptr[padding + 1] = filled
        row = start[graph]
        for node in range(first[graph], first[graph] + size[graph]):
            for other in edge_rows[edge_ptr[node] : edge_ptr[node + 1]]:
                copied[filled] = other - first[graph] + start[graph]
                filled += 1
            row += 1
            ptr[row] = filled
    for padding in range(row, rows):
        ptr[padding + 1] = filled
    return ptr, copied
