"""Graphs as PyG numbers them, for what knows nothing of the replica axis: each replica's nodes and edges listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rethinking.graphs.affine import affine
from rethinking.graphs.dense import SetLevel
from rethinking.graphs.edge_sum import edge_sum
from rethinking.graphs.nodes import SparseNodes
from rethinking.graphs.sparse import SparseLevel
from rethinking.graphs.topology import Topology, pack


@dataclass(frozen=True)
class Listed:
    """The graphs of one replica. nodes: how many. edge_index: int64 [2, E]. batch: int64 [nodes], ascending.

    edge_weight: [E], None for ones. seed: of what is drawn in this step.
    """

    nodes: int
    edge_index: Tensor
    edge_weight: Tensor | None
    batch: Tensor
    seed: int


class ListedLevel(SparseNodes):
    """Coarser graphs with weighted edges, as something else than a Connect of ours has made them.

    parts: the graphs of each replica, as many as before. numbers: which of the data set they are, int64 [R·B].
    edge_index: int64 [2, E], rows counted over all replicas, (source, target). edge_weight: [E]. directed: whether some
    edge may have no reverse, as before.
    """

    drawn = MappingProxyType[Any, Any]({})
    """Nothing is drawn of it before a step."""

    def __init__(self, before: "SparseLevel | ListedLevel", parts: Sequence[Listed]) -> None:
        counts = [torch.bincount(part.batch, minlength=before.graphs) for part in parts]
        size = torch.cat(counts).cpu().numpy()
        width, start = pack(before.replicas, size)
        no_edges = np.zeros(before.replicas * width + 1, np.int64), np.empty(0, np.int64)
        topology = Topology(before.replicas, width, start, size, *no_edges, *no_edges)
        super().__init__(topology, before.device, before._keys, before.depth + 1)
        self.parts = list(parts)
        self.directed: bool = before.directed
        self.numbers = numbers_of(before)
        self.edge_index = torch.cat([part.edge_index + r * topology.width for r, part in enumerate(parts)], dim=1)
        self.edge_weight = torch.cat([weights_of(part) for part in parts])

    def incoming_sum(self, x: Tensor) -> Tensor:
        """Aᵀ X, the weighted sum over those that point to a node. x: [R, N, F]. Returns [R, N, F]."""
        return self._sum(x, *self.edge_index)

    def neighbour_sum(self, x: Tensor) -> Tensor:
        """A X, the weighted sum over those that a node points to. x: [R, N, F]. Returns [R, N, F]."""
        target, source = self.edge_index
        return self._sum(x, source, target)

    def incoming_mean(self, x: Tensor) -> Tensor:
        """Aᵀ X by the sum of the weights, zero where there are none. x: [R, N, F]. Returns [R, N, F]."""
        total = self.incoming_sum(torch.ones_like(x[..., :1]))
        return self.incoming_sum(x) / torch.where(total == 0, 1, total)

    def neighbour_mean(self, x: Tensor) -> Tensor:
        """A X by the sum of the weights, zero where there are none. x: [R, N, F]. Returns [R, N, F]."""
        total = self.neighbour_sum(torch.ones_like(x[..., :1]))
        return self.neighbour_sum(x) / torch.where(total == 0, 1, total)

    def mean_with_self(self, x: Tensor) -> Tensor:
        """The weighted mean over each node, which counts as one, and those it points to. x: [R, N, F]. Likewise."""
        return (x + self.neighbour_sum(x)) / (1 + self.neighbour_sum(torch.ones_like(x[..., :1])))

    def incoming_sum_with_own(self, x: Tensor, own: Tensor) -> Tensor:
        """own · X + Aᵀ X. x: [R, N, F]. own: [R, 1, 1]. Returns [R, N, F]."""
        return own * x + self.incoming_sum(x)

    def convolve_incoming(self, x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
        """[X | Aᵀ X] W + b, and ReLU. x: [R, N, F]. weight: [R, 2·F, G]. bias: [R, 1, G]. Returns [R, N, G]."""
        return self._convolved(self.incoming_sum(x), x, weight, bias, relu)

    def convolve_outgoing(self, x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
        """[X | A X] W + b, and ReLU; as `convolve_incoming`."""
        return self._convolved(self.neighbour_sum(x), x, weight, bias, relu)

    def mean_convolve_incoming(self, x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
        """[X | weighted means over those that point to a node] W + b, and ReLU; as `convolve_incoming`."""
        return self._convolved(self.incoming_mean(x), x, weight, bias, relu)

    def _sum(self, x: Tensor, source: Tensor, target: Tensor) -> Tensor:
        return edge_sum(x.flatten(0, 1), source, target, self.edge_weight.to(x.dtype)).view_as(x)

    def _convolved(self, sums: Tensor, x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
        out = affine(torch.cat([x, sums], dim=-1), weight, bias)
        return torch.relu_(out) if relu else out


def listed(level: SparseLevel | ListedLevel) -> list[Listed]:
    """The graphs of each replica."""
    return level.parts if isinstance(level, ListedLevel) else _parts(level)


def numbers_of(level: SparseNodes | SetLevel) -> np.ndarray:
    """Which graphs of the data set a level has, int64 [R·B]. Raises ValueError where nobody knows."""
    if level.numbers is not None:
        return level.numbers
    if level.origin is None:
        raise ValueError("an operator of elsewhere pools the graphs of the data set, or what such a one has made")
    return level.origin.graphs


def weights_of(part: Listed) -> Tensor:
    """The weight of each edge. Returns [E]."""
    if part.edge_weight is None:
        return torch.ones(part.edge_index.shape[1], device=part.edge_index.device)
    return part.edge_weight


def _parts(level: SparseLevel) -> list[Listed]:
    topology = level.topology
    parts = []
    sizes = topology.size.reshape(topology.replicas, -1)
    bounds = np.searchsorted(topology.edge_index[1], np.arange(topology.replicas + 1) * topology.width)
    # What each replica's module draws in this step.
    seeds = [int(key) >> 1 for key in level.keys.reshape(level.replicas, -1)[:, 0]]
    for replica, size in enumerate(sizes):
        edges = topology.edge_index[:, bounds[replica] : bounds[replica + 1]] - replica * topology.width
        batch = np.repeat(np.arange(len(size)), size)
        tensors = [torch.from_numpy(array).to(level.device) for array in (edges, batch)]
        parts.append(Listed(int(size.sum()), tensors[0], None, tensors[1], seeds[replica]))
    return parts
