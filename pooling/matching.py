"""Selects that pair nodes: greedy maximal matchings, drawn afresh at every forward pass.

A matching depends on the topology alone, never on features or weights. Nodes are visited in a
random order; each one that is still free pairs with a free candidate chosen uniformly at random,
or stays alone. The Selects differ in who is a candidate. Two nodes are neighbours when an edge
joins them in either direction.
"""

import numpy as np
from numba import njit
from torch import Tensor

from rethinking.draws import below, mix
from rethinking.graphs.sparse import SparseComplement, SparseLevel
from rethinking.graphs.topology import Topology
from rethinking.pooling.select import Select
from rethinking.pooling.selection import HardSelection

# Separates the stream that picks partners from the one that orders the nodes.
CHOICE = np.uint64(1 << 40)


class Matching(Select):
    """The base of matchings. sizes: unused; how many clusters there are follows from each graph."""

    sees_features = False

    def __init__(self, **sizes: int) -> None:
        super().__init__()

    def draw(self, topology: Topology, keys: np.ndarray) -> np.ndarray:
        """Draw one matching of every graph.

        keys: uint64 [R·B], the random stream of each graph.
        Returns the partner of each row, int64 [R·N]: itself for a node that stays alone, −1 for padding.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, level: SparseLevel) -> HardSelection:
        """See `Select`. Clusters are numbered by their first node. Raises TypeError on complement graphs."""
        if isinstance(level, SparseComplement):
            raise TypeError(
                "a matching needs its edges listed, and those of complement graphs are not; use ComplementMatching"
            )
        top = level.topology
        cluster, count = _number_clusters(top.start, top.size, self.draw(top, level.keys))
        return HardSelection(cluster, count, level)


class NeighbourMatching(Matching):
    """Pairs neighbours: Graclus without edge weights (Dhillon et al. 2007; the paper, Section 2.2).

    one_way: on directed graphs, only those that a node points to are its candidates (fidelity ledger, row 16).
    """

    is_local = True

    def __init__(self, one_way: bool | None = None, **sizes: int) -> None:
        super().__init__(**sizes)
        self.one_way = bool(one_way)

    def draw(self, topology: Topology, keys: np.ndarray) -> np.ndarray:
        """See `Matching.draw`."""
        both_ways = topology.directed and not self.one_way
        return _match_neighbours(topology.start, topology.size, *_edges(topology), both_ways, keys)


class ComplementMatching(Matching):
    """Pairs nodes that are *not* neighbours: Graclus on the complement graph (the paper, Section 2.2).

    one_way: on directed graphs, two nodes are neighbours only if the earlier points to the later one (fidelity ledger,
    row 16).
    """

    is_local = False

    def __init__(self, one_way: bool | None = None, **sizes: int) -> None:
        super().__init__(**sizes)
        self.one_way = bool(one_way)

    def draw(self, topology: Topology, keys: np.ndarray) -> np.ndarray:
        """See `Matching.draw`."""
        return _match_non_neighbours(topology.start, topology.size, *_edges(topology), self.one_way, keys)


class UniformMatching(Matching):
    """Pairs nodes uniformly at random, connected or not: a perfect matching but for an odd node."""

    is_local = False

    def draw(self, topology: Topology, keys: np.ndarray) -> np.ndarray:
        """See `Matching.draw`."""
        return _match_anyone(topology.start, topology.size, topology.rows, keys)


def _edges(topology: Topology) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return topology.in_ptr, topology.in_rows, topology.out_ptr, topology.out_rows


@njit(cache=True, nogil=True)
def _shuffled(start, size, key, order):
    """Fill order[:size] with the rows of one graph in random order (Fisher–Yates)."""
    for i in range(size):
        j = below(key, i, i + 1)
        order[i] = order[j]
        order[j] = start + i


@njit(cache=True, nogil=True)
def _match_neighbours(start, size, in_ptr, in_rows, out_ptr, out_rows, both_ways, keys):
    partner = np.full(len(in_ptr) - 1, -1, np.int64)
    largest = size.max()
    order = np.empty(largest, np.int64)
    candidates = np.empty(2 * largest, np.int64)
    seen_by = np.full(len(partner), -1, np.int64)
    for graph in range(len(start)):
        _shuffled(start[graph], size[graph], keys[graph], order)
        choice = mix(keys[graph], CHOICE)
        for row in order[: size[graph]]:
            if partner[row] >= 0:
                continue
            count = 0
            for other in out_rows[out_ptr[row] : out_ptr[row + 1]]:
                if partner[other] < 0 and other != row:
                    seen_by[other] = row
                    candidates[count] = other
                    count += 1
            if both_ways:
                for other in in_rows[in_ptr[row] : in_ptr[row + 1]]:
                    if partner[other] < 0 and other != row and seen_by[other] != row:
                        candidates[count] = other
                        count += 1
            chosen = candidates[below(choice, row - start[graph], count)] if count else row
            partner[row] = chosen
            partner[chosen] = row
    return partner


@njit(cache=True, nogil=True)
def _match_non_neighbours(start, size, in_ptr, in_rows, out_ptr, out_rows, one_way, keys):
    partner = np.full(len(in_ptr) - 1, -1, np.int64)
    largest = size.max()
    order = np.empty(largest, np.int64)
    candidates = np.empty(largest, np.int64)
    neighbour_of = np.full(len(partner), -1, np.int64)
    for graph in range(len(start)):
        _shuffled(start[graph], size[graph], keys[graph], order)
        choice = mix(keys[graph], CHOICE)
        for position in range(size[graph]):
            row = order[position]
            if partner[row] >= 0:
                continue
            for other in out_rows[out_ptr[row] : out_ptr[row + 1]]:
                if not one_way or row < other:
                    neighbour_of[other] = row
            for other in in_rows[in_ptr[row] : in_ptr[row + 1]]:
                if not one_way or other < row:
                    neighbour_of[other] = row
            count = 0
            # Every node visited before is matched, so the free ones come later in the order.
            for other in order[position + 1 : size[graph]]:
                if partner[other] < 0 and neighbour_of[other] != row:
                    candidates[count] = other
                    count += 1
            chosen = candidates[below(choice, row - start[graph], count)] if count else row
            partner[row] = chosen
            partner[chosen] = row
    return partner


@njit(cache=True, nogil=True)
def _match_anyone(start, size, rows, keys):
    partner = np.full(rows, -1, np.int64)
    order = np.empty(size.max(), np.int64)
    for graph in range(len(start)):
        _shuffled(start[graph], size[graph], keys[graph], order)
        # In a random order, neighbouring places make a uniformly random perfect matching.
        for position in range(0, size[graph] - 1, 2):
            partner[order[position]] = order[position + 1]
            partner[order[position + 1]] = order[position]
        if size[graph] % 2:
            partner[order[size[graph] - 1]] = order[size[graph] - 1]
    return partner


@njit(cache=True, nogil=True)
def _number_clusters(start, size, partner):
    """The cluster of each row within its graph, and how many clusters each graph has."""
    cluster = np.full(len(partner), -1, np.int64)
    count = np.zeros(len(start), np.int64)
    for graph in range(len(start)):
        for row in range(start[graph], start[graph] + size[graph]):
            other = partner[row]
            if other >= row:
                cluster[row] = count[graph]
                cluster[other] = count[graph]
                count[graph] += 1
    return cluster, count
