"""Estimand B, new graphs of the same kind: errors clustered by graph and by seed, from the scores of single graphs."""

import math

import numpy as np

from rethinking.analysis.inference.estimates import ROUNDING, Estimate


def clustered(differences: np.ndarray, graph: np.ndarray, seed: np.ndarray) -> Estimate:
    """The mean over all tested graphs and seeds, with its two-way clustered standard error.

    differences: [N], one for each tested graph and seed. graph, seed: [N], whole numbers from 0 on, with few gaps.

    V = V_graph + V_seed − V_cell, and at least the larger of the first two (Cameron, Gelbach and Miller 2011, "Robust
    inference with multiway clustering"), each with the correction G/(G − 1) for its G clusters; one degree of freedom
    less than the clusters of which there are fewer. This is what statsmodels' `OLS(x, 1).fit(cov_type="cluster",
    use_t=True, cov_kwds={"groups": [graph, seed]})` gives, as sums.
    The same graphs stay when seeds are added: V_graph − V_cell, what graphs have in common over seeds, is left.
    """
    n = len(differences)
    mean = float(differences.mean())
    rest = differences - mean
    seeds, of_seeds = _sums(rest, seed)
    graphs, of_graphs = _sums(rest, graph)
    if seeds < 2 or graphs < 2:
        return Estimate(seeds, mean, math.nan)
    v_seed = seeds / (seeds - 1) * of_seeds / n**2
    v_graph = graphs / (graphs - 1) * of_graphs / n**2
    v_cell = n / (n - 1) * float(rest @ rest) / n**2
    variance = max(v_graph + v_seed - v_cell, v_graph, v_seed)
    if variance <= (ROUNDING * max(1.0, float(np.abs(differences).max()))) ** 2:
        return Estimate(seeds, mean, math.nan)
    # Two seeds have as many graphs in common as the variance of many is made of: K/(K − 1) pairs of seeds.
    limit = max(0.0, v_graph - v_cell) * seeds / (seeds - 1)
    return Estimate(seeds, mean, math.sqrt(variance), math.sqrt(min(limit, variance)), graphs)


def _sums(rest: np.ndarray, group: np.ndarray) -> tuple[int, float]:
    """How many groups there are, and the sum over them of their squared sums."""
    sums = np.bincount(group, weights=rest)
    return int(np.count_nonzero(np.bincount(group))), float(sums @ sums)
