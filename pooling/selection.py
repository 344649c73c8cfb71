"""What a Select decides: the assignment of the nodes of a batch to clusters, soft or hard.

Whatever looks at clusters (Reduce, Connect, losses, measures, figures) reads a Selection and knows no family.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.contract import Contraction
from rethinking.graphs.levels import Level, ListedLevel, NodeSets, SparseLevel
from rethinking.graphs.segments import Segments, segment_sum
from rethinking.graphs.topology import expand, membership, pack


class Selection(ABC):
    """Which clusters the nodes of a level belong to. level: of the nodes."""

    level: NodeSets

    @abstractmethod
    def dense(self) -> Tensor:
        """S as a matrix for each graph, k columns for all of them. Returns [R, N, k], undefined in padding rows."""

    @property
    @abstractmethod
    def sizes(self) -> Tensor:
        """The weight of each cluster, the sum of its column of S. Returns [R, B, k]."""

    @property
    @abstractmethod
    def members(self) -> Tensor:
        """The cluster of each node within its graph, the one with the largest weight; −1 for none. int64 [R, N]."""

    @property
    def row_sums(self) -> Tensor:
        """The weights of each node together. Returns [R, N, 1], undefined in padding rows."""
        return self.dense().sum(dim=-1, keepdim=True)

    @abstractmethod
    def lift(self, x: Tensor) -> Tensor:
        """S X', the features of clusters back on their nodes. x: [R, N', F]. Returns [R, N, F]."""

    @abstractmethod
    def by_graph(self, x: Tensor) -> Tensor:
        """The rows of each graph's clusters, zero where a graph has no more. x: [R, N', F]. Returns [R, B, k, F]."""

    @abstractmethod
    def soft(self, dtype: torch.dtype | None = None) -> "SoftSelection":
        """The same with S as a matrix, in the precision of what it is to be multiplied with."""

    @abstractmethod
    def of_graph(self, graph: int) -> np.ndarray:
        """S of one graph, counted over all replicas. Returns [n, k]."""


class SoftSelection(Selection):
    """A soft assignment. assignment: S [R, N, k], the rows of its nodes in their order; undefined in padding rows.

    Raises ValueError for another shape: compiled loops trust it.
    """

    def __init__(self, assignment: Tensor, level: NodeSets) -> None:
        expect(assignment, "S", "R, N, k", (level.replicas, level.width, None))
        self.assignment = assignment
        self.level = level
        self._contracted: dict[NodeSets, Contraction] = {}

    def dense(self) -> Tensor:
        """See `Selection`."""
        return self.assignment

    @property
    def sizes(self) -> Tensor:
        """See `Selection`."""
        return self.level.graph_sum(self.assignment)

    @property
    def members(self) -> Tensor:
        """See `Selection`."""
        return self.assignment.argmax(dim=-1)

    def lift(self, x: Tensor) -> Tensor:
        """See `Selection`. x: [R, B·k, F]."""
        return self.level.from_graphs(self.level.per_graph(self.assignment) @ self.by_graph(x))

    def by_graph(self, x: Tensor) -> Tensor:
        """See `Selection`. x: [R, B·k, F]."""
        return x.unflatten(1, (self.level.graphs, self.assignment.shape[-1]))

    def soft(self, dtype: torch.dtype | None = None) -> "SoftSelection":
        """Itself, unless it is to be in another precision."""
        if dtype in (None, self.assignment.dtype):
            return self
        return SoftSelection(self.assignment.to(dtype), self.level)

    def of_graph(self, graph: int) -> np.ndarray:
        """See `Selection`."""
        return self.assignment.detach().flatten(0, 1)[self.level.rows_of(graph)].cpu().numpy()

    def reduce(self, x: Tensor) -> Tensor:
        """Sᵀ X for every graph. x: [R, N, F]. Returns [R, B·k, F]."""
        return self.level.product(self.assignment, x).flatten(1, 2)

    def contract(self, level: Level) -> Tensor:
        """Sᵀ A S for every graph, A that of `level`. Returns [R, B, k, k]."""
        coarse = self._contraction(level).coarse
        return coarse.view(level.replicas, level.graphs, *coarse.shape[1:])

    def cut(self, level: Level) -> Tensor:
        """tr(Sᵀ A S), what is inside the clusters of each graph, A that of `level`. Returns [R, B]."""
        return self._contraction(level).cut.view(level.replicas, level.graphs)

    def volume(self, level: Level) -> Tensor:
        """tr(Sᵀ D S), D the degrees in `level`. Returns [R, B]."""
        return self._contraction(level).volume.view(level.replicas, level.graphs)

    def _contraction(self, level: Level) -> Contraction:
        if level not in self._contracted:
            self._contracted[level] = level.contract(self.assignment)
        return self._contracted[level]


class HardSelection(Selection):
    """A hard assignment: every node is in one cluster, or in none.

    cluster: int64 [R·N], a node's cluster within its graph, 0 … count−1; −1 for a node that is dropped, and for
    padding. count: int64 [R·B], the clusters of each graph. weight: [R, N, 1], by which a node counts in its cluster;
    None for one. width: columns of S as a matrix, as many for every graph; soft families need it. None for the largest
    count. Raises ValueError for clusters that are not numbered so, and for other shapes.
    """

    def __init__(
        self,
        cluster: np.ndarray,
        count: np.ndarray,
        level: NodeSets,
        weight: Tensor | None = None,
        width: int | None = None,
    ) -> None:
        expect(cluster, "cluster", "R·N", (level.replicas * level.width,), whole=True)
        expect(count, "count", "R·B", (level.replicas * level.graphs,), whole=True)
        if weight is not None:
            expect(weight, "weight", "R, N, 1", (level.replicas, level.width, 1))
        self.cluster = cluster
        self.count = count
        self.level = level
        self.weight = weight
        self.width = width
        most = np.iinfo(np.int64).max if width is None else width
        if not _is_sound(cluster, level.graph_of_row, count, most):
            raise ValueError(
                "hard clusters are numbered 0 … count−1 within each graph, −1 for a node in none and for padding, and "
                f"are not more than width={width}; these are not"
            )

    @classmethod
    def of_nodes(
        cls, cluster: Tensor, count: Tensor, level: NodeSets, weight: Tensor | None = None, width: int | None = None
    ) -> "HardSelection":
        """From tensors on any device. cluster: int64 [R, N], whatever in padding rows. count: int64 [R, B].

        Raises ValueError as the constructor.
        """
        expect(cluster, "cluster", "R, N", (level.replicas, level.width), whole=True)
        expect(count, "count", "R, B", (level.replicas, level.graphs), whole=True)
        if level.present is not None:
            cluster = cluster.masked_fill(~level.present.squeeze(-1), -1)
        return cls(cluster.flatten().cpu().numpy(), count.flatten().cpu().numpy(), level, weight, width)

    @cached_property
    def place(self) -> tuple[int, np.ndarray]:
        """Where the clusters lie as rows: the width N' and the first row of every graph, int64 [R·B]."""
        return pack(self.level.replicas, self.count)

    @cached_property
    def of(self) -> np.ndarray:
        """The cluster of each node as a row of the coarser level, int64 [R·N]; −1 for none."""
        return _rows_of_clusters(self.cluster, self.level.graph_of_row, self.place[1])

    @cached_property
    def members_of(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The nodes of each coarse row, ascending, as arrays; see `membership`."""
        return membership(self.of, self.level.replicas * self.place[0])

    @cached_property
    def segments(self) -> Segments:
        """The nodes of each cluster, over all replicas."""
        return Segments(*(torch.from_numpy(array).to(self.level.device) for array in self.members_of))

    def weighted(self, x: Tensor) -> Tensor:
        """x: [R, N, F]. Returns each node's features by its weight, [R, N, F]."""
        return x if self.weight is None else x * self.weight

    def dense(self) -> Tensor:
        """See `Selection`."""
        width = self._columns
        members = self.members[..., None]
        inside = (members >= 0).to(torch.get_default_dtype())
        values = self.weighted(inside)
        rows = values.new_zeros(*members.shape[:2], width)
        return rows.scatter(-1, members.clamp(min=0), values * inside)

    @property
    def sizes(self) -> Tensor:
        """See `Selection`."""
        return self.level.graph_sum(self.dense())

    @property
    def _columns(self) -> int:
        return int(self.count.max()) if self.width is None else self.width

    @cached_property
    def members(self) -> Tensor:
        """See `Selection`."""
        return torch.from_numpy(self.cluster).to(self.level.device).view(self.level.replicas, -1)

    def lift(self, x: Tensor) -> Tensor:
        """See `Selection`. x: [R, N', F]."""
        rows = segment_sum(x, self.segments.transposed).view(self.level.replicas, -1, x.shape[-1])
        return self.weighted(rows)

    def by_graph(self, x: Tensor) -> Tensor:
        """See `Selection`. x: [R, N', F], as `place` says."""
        place = np.arange(self._columns)
        exists = place < self.count[:, None]
        rows = np.where(exists, self.place[1][:, None] + place, 0)
        chosen, there = (torch.from_numpy(array).to(x.device) for array in (rows, exists))
        values = x.flatten(0, 1)[chosen].masked_fill(~there[..., None], 0)
        return values.unflatten(0, (self.level.replicas, -1))

    def soft(self, dtype: torch.dtype | None = None) -> SoftSelection:
        """See `Selection`."""
        dense = self.dense()
        return SoftSelection(dense if dtype is None else dense.to(dtype), self.level)

    def of_graph(self, graph: int) -> np.ndarray:
        """See `Selection`. Returns [n, the clusters of that graph]."""
        rows = self.level.rows_of(graph)
        members = self.cluster[rows]
        matrix = np.zeros((len(members), self.count[graph]))
        inside = np.flatnonzero(members >= 0)
        weight = 1.0 if self.weight is None else self.weight.detach().flatten()[rows].cpu().numpy()[inside]
        matrix[inside, members[inside]] = weight
        return matrix


def expect(values: Any, name: str, letters: str, shape: tuple[int | None, ...], whole: bool = False) -> None:
    """Raises ValueError if something is no array or tensor of a shape, None for any size, or not of such numbers.

    letters: what the sizes of the shape are called. whole: whether whole numbers are expected, or real ones.
    """
    expected = f"[{letters}]{' of whole numbers' if whole else ''}"
    if not isinstance(values, (Tensor, np.ndarray)):
        raise ValueError(f"{name} is a {type(values).__name__}; expected a tensor {expected}")
    found = tuple(values.shape)
    alike = len(found) == len(shape) and all(size in (None, own) for size, own in zip(shape, found, strict=True))
    real = values.is_floating_point() if isinstance(values, Tensor) else values.dtype.kind not in "iu"
    if not alike or real == whole:
        sizes = ", ".join("k" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} is of {values.dtype} {list(found)}; expected {expected}, here [{sizes}]")


@dataclass(frozen=True)
class HardPart:
    """The hard clusters of one graph; see `HardSelection`. cluster: int64 [n]. weight: [n]."""

    cluster: np.ndarray
    count: int
    weight: np.ndarray
    width: int | None


# What can be kept of one graph: S [n, k], or its hard clusters.
Part = np.ndarray | HardPart


def parts_of(selection: Selection) -> list[Part]:
    """What a Selection says of each of its graphs, as copies."""
    level = selection.level
    rows = [level.rows_of(graph) for graph in range(level.replicas * level.graphs)]
    if not isinstance(selection, HardSelection):
        assignment = selection.dense().detach().flatten(0, 1).cpu().numpy()
        return [assignment[own].copy() for own in rows]
    weight = torch.ones(len(selection.cluster)) if selection.weight is None else selection.weight.detach().flatten()
    weights = weight.cpu().numpy()
    return [
        HardPart(selection.cluster[own].copy(), int(count), weights[own].copy(), selection.width)
        for own, count in zip(rows, selection.count, strict=True)
    ]


def join(parts: Sequence[Part], level: SparseLevel | ListedLevel) -> Selection:
    """A Selection from what was kept of each of its graphs. Raises ValueError if some are hard and some are soft."""
    rows = expand(level.topology.start, level.topology.size)

    def laid_out(arrays: Sequence[np.ndarray], padding: int) -> np.ndarray:
        values = np.concatenate(arrays)
        flat = np.full((level.topology.rows, *values.shape[1:]), padding, values.dtype)
        flat[rows] = values
        return flat

    hard = [part for part in parts if isinstance(part, HardPart)]
    soft = [part for part in parts if isinstance(part, np.ndarray)]
    if hard and soft:
        raise ValueError("a Select gives hard clusters for some graphs and soft ones for others; expected one form")
    if soft:
        most = max(part.shape[1] for part in soft)
        wide = [np.pad(part, ((0, 0), (0, most - part.shape[1]))) for part in soft]
        assignment = torch.from_numpy(laid_out(wide, 0)).to(level.device)
        return SoftSelection(assignment.unflatten(0, (level.replicas, -1)), level)
    weight = torch.from_numpy(laid_out([part.weight for part in hard], 0)).to(level.device)
    cluster = laid_out([part.cluster for part in hard], -1)
    count = np.array([part.count for part in hard])
    return HardSelection(cluster, count, level, weight.view(level.replicas, -1, 1), hard[0].width)


@njit(cache=True, nogil=True)
def _is_sound(cluster, graph, count, width):
    for number in count:
        if number < 0 or number > width:
            return False
    for node in range(len(cluster)):
        most = count[graph[node]] if graph[node] < len(count) else 0
        if cluster[node] < -1 or cluster[node] >= most:
            return False
    return True


@njit(cache=True, nogil=True)
def _rows_of_clusters(cluster, graph, first):
    rows = np.full(len(cluster), -1, np.int64)
    for node in range(len(cluster)):
        if cluster[node] >= 0:
            rows[node] = cluster[node] + first[graph[node]]
    return rows
