"""How local a clustering of a graph's nodes is, as pure functions on arrays."""

import numpy as np


def assignment_measures(assignment: np.ndarray, edges: np.ndarray, hops: np.ndarray) -> dict[str, float]:
    """What can be said of an assignment S of the n nodes of a graph to k clusters, soft or hard.

    assignment: [n, k]; the size of its numbers counts, and rows are scaled to sum to one. A row of zeros is a node in
    no cluster. edges: int [2, E], each in both directions.
    hops: [n, n], see `graphs.hops`. Returns

    - entropy: the mean entropy of a row by log k, in [0, 1]; 0 for a hard assignment, 1 for none.
    - clusters: how many clusters are in use, the exponential of the entropy of the mean row; in [1, k].
    - edges_inside: the share of edges within a cluster, Σ_e s_i·s_j / E; in [0, 1].
    - hops: the mean number of steps between two nodes of a cluster, over pairs i ≠ j weighted by s_i·s_j.
    - modularity: Σ_c (L_c/m − (d_c/2m)²) (Newman 2006), by which edges inside exceed those expected by degree.

    A measure that a graph does not have, such as edges inside where it has no edges, is NaN.
    """
    n, k = assignment.shape
    size = np.abs(assignment)
    total = size.sum(axis=1, keepdims=True)
    s = np.divide(size, total, out=np.zeros_like(size, dtype=float), where=total > 0)
    assigned = total[:, 0] > 0
    source, target = edges
    together = s @ s.T
    apart = np.isfinite(hops) & ~np.eye(n, dtype=bool)
    weight = together * apart
    inside = together[source, target]
    degree = np.bincount(source, minlength=n) @ s
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "entropy": float(_entropy(s[assigned]).mean() / np.log(k)) if k > 1 and assigned.any() else 0.0,
            "clusters": float(np.exp(_entropy(s[assigned].mean(axis=0)))) if assigned.any() else 0.0,
            "edges_inside": float(inside.mean()) if len(source) else np.nan,
            "hops": float(np.float64((weight * np.where(apart, hops, 0)).sum()) / weight.sum()),
            "modularity": float(inside.mean() - np.square(degree / len(source)).sum()) if len(source) else np.nan,
        }


def cosine_distance(x: np.ndarray) -> float:
    """The mean of 1 − cos(x_i, x_j) over pairs of different rows, none of them zero: 0 where all point the same way.

    x: [n, F]. NaN where there are fewer than two such rows.
    """
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    unit = x[norm[:, 0] > 0] / norm[norm[:, 0] > 0]
    n = len(unit)
    # The sum over all pairs is that of everything, less the n products of a row with itself.
    return float(1 - (np.square(unit.sum(axis=0)).sum() - n) / (n * (n - 1))) if n > 1 else np.nan


def _entropy(p: np.ndarray) -> np.ndarray:
    """Of the last axis, in nats; 0 log 0 is 0."""
    return -(p * np.log(np.where(p > 0, p, 1))).sum(axis=-1)
