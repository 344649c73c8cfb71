"""Whether clusters consist of nodes near each other."""

import numpy as np

from rethinking.graphs.hops import hop_distances
from rethinking.pooling.measures import assignment_measures
from rethinking.pooling.operators.interface import Assignment, Graphs


def locality(assignment: Assignment, graphs: Graphs) -> dict[str, float]:
    """The means over graphs of `assignment_measures`, and of two more.

    - hops_of_all: the hops of all pairs joined by a path.
    - lost: the share of nodes that are in no cluster and have no neighbour in one.

    graphs: those whose nodes were pooled; edges count both ways. A graph that lacks a measure does not count for it,
    and a measure that all of them lack is NaN.
    """
    edges = graphs.edge_index.numpy()
    edges = np.unique(np.concatenate([edges, edges[::-1]], axis=1), axis=1)
    s = assignment.dense().detach().numpy()
    node_end, cluster_end = (
        np.searchsorted(batch.numpy(), np.arange(graphs.count), side="right")
        for batch in (graphs.batch, assignment.batch)
    )
    found = []
    for graph in range(graphs.count):
        nodes, clusters = (slice(end[graph - 1] if graph else 0, end[graph]) for end in (node_end, cluster_end))
        size = nodes.stop - nodes.start
        mine = edges[:, (edges[0] >= nodes.start) & (edges[0] < nodes.stop)] - nodes.start
        hops = hop_distances(size, mine)
        others = hops[np.isfinite(hops) & ~np.eye(size, dtype=bool)]
        measures = assignment_measures(s[nodes, clusters], mine, hops)
        kept = np.abs(s[nodes, clusters]).sum(axis=1) > 0
        lost = (hops[:, kept] > 1).all(axis=1).mean()
        far = float(others.mean()) if len(others) else np.nan
        found.append(measures | {"hops_of_all": far, "lost": float(lost)})
    return {name: _mean([measures[name] for measures in found]) for name in found[0]}


def _mean(values: list[float]) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
