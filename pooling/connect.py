"""Connect for hard clusters: the coarser graph joins two clusters when any edge joins their nodes."""

import numpy as np
from numba import njit

from rethinking.graphs.topology import Clusters, Topology, pack


def coarsen(topology: Topology, partner: np.ndarray) -> tuple[Clusters, Topology]:
    """Merge matched nodes: A'_{kl} = 1 iff an edge leads from cluster k to cluster l, k ≠ l (Eq. 3).

    partner: int64 [R·N], a matching as `pooling.matching` draws it.
    Clusters are numbered by their first node. Directions of edges are kept.
    """
    count = _count_clusters(topology.start, topology.size, partner)
    width, start = pack(topology.replicas, count)
    rows = topology.replicas * width
    of, ptr, members = _number_clusters(topology.start, topology.size, partner, start, rows)
    clusters = Clusters(of, ptr, members)
    in_ptr, in_rows = _merge_edges(topology.in_ptr, topology.in_rows, of, ptr, members)
    out_ptr, out_rows = in_ptr, in_rows
    if topology.directed:
        out_ptr, out_rows = _merge_edges(topology.out_ptr, topology.out_rows, of, ptr, members)
    coarse = Topology(topology.replicas, width, start, count, in_ptr, in_rows, out_ptr, out_rows)
    return clusters, coarse


@njit(cache=True, nogil=True)
def _count_clusters(start, size, partner):
    count = np.zeros(len(start), np.int64)
    for graph in range(len(start)):
        for row in range(start[graph], start[graph] + size[graph]):
            count[graph] += partner[row] >= row
    return count


@njit(cache=True, nogil=True)
def _number_clusters(start, size, partner, coarse_start, coarse_rows):
    of = np.full(len(partner), -1, np.int64)
    ptr = np.zeros(coarse_rows + 1, np.int64)
    members = np.empty(size.sum(), np.int64)
    filled = 0
    cluster = 0
    # Graphs lie in ascending order of their rows, so clusters are met in that order too.
    for graph in range(len(start)):
        for empty in range(cluster, coarse_start[graph]):
            ptr[empty + 1] = filled
        cluster = coarse_start[graph]
        for row in range(start[graph], start[graph] + size[graph]):
            other = partner[row]
            if other < row:
                continue
            of[row] = cluster
            members[filled] = row
            filled += 1
            if other > row:
                of[other] = cluster
                members[filled] = other
                filled += 1
            cluster += 1
            ptr[cluster] = filled
    for empty in range(cluster, coarse_rows):
        ptr[empty + 1] = filled
    return of, ptr, members


@njit(cache=True, nogil=True)
def _merge_edges(edge_ptr, edge_rows, of, ptr, members):
    coarse_ptr = np.empty_like(ptr)
    coarse_rows = np.empty(len(edge_rows), np.int64)
    joined_to = np.full(len(ptr) - 1, -1, np.int64)
    filled = 0
    coarse_ptr[0] = 0
    for cluster in range(len(ptr) - 1):
        joined_to[cluster] = cluster
        for row in members[ptr[cluster] : ptr[cluster + 1]]:
            for other in edge_rows[edge_ptr[row] : edge_ptr[row + 1]]:
                target = of[other]
                if joined_to[target] != cluster:
                    joined_to[target] = cluster
                    coarse_rows[filled] = target
                    filled += 1
        coarse_ptr[cluster + 1] = filled
    return coarse_ptr, coarse_rows[:filled].copy()
