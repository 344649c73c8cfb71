"""The structure of the graphs of one step: who is whose neighbour, at one level of coarsening.

A step trains R replicas, each on a batch of B graphs. Node features are `[R, N, F]`, where N is
the width: the nodes of the largest batch among the replicas. Node i of replica r is *row*
`r * N + i`; rows beyond a replica's last node are padding and have no edges. Nothing here is
trained, so everything here is NumPy and compiled code.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit


@dataclass(frozen=True)
class Topology:
    """The edges of R × B graphs as flat arrays (compressed rows), in both directions.

    An edge j → i carries the features of j into the sum of i, as in PyG.

    replicas: R. width: N.
    start, size: int64 [R·B]; the rows of graph g of replica r are `start[r·B+g] + 0 … size−1`.
    in_ptr, in_rows: row i sums over `in_rows[in_ptr[i]:in_ptr[i+1]]`.
    out_ptr, out_rows: the transpose; the same objects as `in_*` when the edges are undirected.
    edge_fields: int64 [E, fields], beside `in_rows`, where edges have categorical features.
    most: for how many nodes a graph there is room, where a graph is laid out by itself; None for the largest.
    Entries of `in_rows` and `out_rows` beyond the last row's are no edges (`rethinking/graphs/padded.py`).
    """

    replicas: int
    width: int
    start: np.ndarray
    size: np.ndarray
    in_ptr: np.ndarray
    in_rows: np.ndarray
    out_ptr: np.ndarray
    out_rows: np.ndarray
    edge_fields: np.ndarray | None = None
    most: int | None = None

    @property
    def rows(self) -> int:
        """R · N, padding included."""
        return self.replicas * self.width

    @property
    def directed(self) -> bool:
        """Whether some edge has no reverse."""
        return self.in_rows is not self.out_rows

    @cached_property
    def largest(self) -> int:
        """The nodes of the largest graph, or for how many there is room."""
        return int(self.size.max()) if self.most is None else self.most

    @cached_property
    def edge_index(self) -> np.ndarray:
        """The edges in PyG's form, (source row, target row), int64 [2, E]; R·N as the target of what is none."""
        targets = np.full(len(self.in_rows), self.rows)
        targets[: self.in_ptr[-1]] = np.repeat(np.arange(self.rows), np.diff(self.in_ptr))
        return np.stack([self.in_rows, targets])

    @cached_property
    def graph(self) -> np.ndarray:
        """The graph of each row, counted over all replicas; R·B for padding. Returns int64 [R·N]."""
        return _graphs(self.start, self.size, self.rows)

    @cached_property
    def members(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The nodes of each graph; see `membership`."""
        return membership(self.graph, len(self.start))


def expand(start: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The numbers `start[g] … start[g] + size[g] − 1` of every g, one after another."""
    first = np.cumsum(size) - size
    return np.repeat(start - first, size) + np.arange(size.sum())


def pack(replicas: int, size: np.ndarray) -> tuple[int, np.ndarray]:
    """Where graphs of these sizes lie when each replica's follow one another.

    size: int64 [R·B]. Returns the width N and the first row of every graph, int64 [R·B].
    """
    start = np.empty(len(size), np.int64)
    return _pack(size, replicas, start), start


@njit(cache=True, nogil=True)
def membership(of: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Who is in which of `count` groups, and the other way round; in each group in ascending order.

    of: int64 [n], the group of each row; none for any other number. Returns the arrays of `Segments`: the rows of group
    g are `rows[ptr[g]:ptr[g+1]]`, the groups of row i, one or none, `groups[row_ptr[i]:row_ptr[i+1]]`.
    """
    ptr = np.zeros(count + 1, np.int64)
    row_ptr = np.zeros(len(of) + 1, np.int64)
    for row in range(len(of)):
        inside = 0 <= of[row] < count
        row_ptr[row + 1] = row_ptr[row] + inside
        if inside:
            ptr[of[row] + 1] += 1
    for group in range(count):
        ptr[group + 1] += ptr[group]
    filled = ptr[:-1].copy()
    rows = np.empty(ptr[-1], np.int64)
    groups = np.empty(ptr[-1], np.int64)
    for row in range(len(of)):
        group = of[row]
        if 0 <= group < count:
            rows[filled[group]] = row
            filled[group] += 1
            groups[row_ptr[row]] = group
    return ptr, rows, row_ptr, groups


@njit(cache=True, nogil=True)
def _pack(size, replicas, start):
    graphs = len(size) // replicas
    width = 0
    for replica in range(replicas):
        width = max(width, size[replica * graphs : (replica + 1) * graphs].sum())
    for replica in range(replicas):
        row = replica * width
        for graph in range(replica * graphs, (replica + 1) * graphs):
            start[graph] = row
            row += size[graph]
    return width


@njit(cache=True, nogil=True)
def _graphs(start, size, rows):
    graphs = np.full(rows, len(start), np.int64)
    for graph in range(len(start)):
        for row in range(start[graph], start[graph] + size[graph]):
            graphs[row] = graph
    return graphs
