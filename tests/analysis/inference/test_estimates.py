"""Estimates A and B on closed forms, against scipy and statsmodels."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from rethinking.analysis.inference.clustered import clustered
from rethinking.analysis.inference.estimates import corrected, paired

RNG = np.random.default_rng(0)


def test_a_is_students_paired_interval() -> None:
    a, b = RNG.random((2, 20))
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert paired(a - b).interval(0.95) == pytest.approx((expected.low, expected.high))


def test_the_correction_widens_by_its_factor_and_leaves_an_error() -> None:
    differences = RNG.random(20)
    plain, wider = paired(differences), corrected(differences, 1 / 8)
    assert wider.mean == plain.mean
    assert wider.error / plain.error == pytest.approx(math.sqrt((1 / 20 + 1 / 8) / (1 / 20)))
    assert wider.with_seeds(10**9).error == pytest.approx(np.std(differences, ddof=1) * math.sqrt(1 / 8), rel=1e-3)
    assert wider.with_seeds(20).error == pytest.approx(wider.error)
    assert plain.with_seeds(80).error == pytest.approx(plain.error / 2)


@pytest.mark.parametrize("value", [0.0, 0.5, 100 / 3])
def test_differences_that_do_not_vary_say_nothing(value: float) -> None:
    """As of two networks that predict one class for all graphs; also where they vary by their rounding."""
    same = value + np.zeros(20)
    same[::2] *= 1 + 1e-15
    for estimate in (paired(same), corrected(same, 1 / 8), paired(same[:1])):
        assert estimate.mean == pytest.approx(value) and not estimate.known
        assert np.isnan(estimate.interval(0.95)).all()


def test_a_variance_below_that_of_one_graph_in_all_seeds_is_chance() -> None:
    differences = np.array([0.0, 0, 0, 0, 1e-4])
    assert paired(differences, step=0.01).error == pytest.approx(0.01 / 5)
    assert paired(100 * differences, step=0.01).error == pytest.approx(0.01 / 5)  # one graph in one of five seeds
    assert paired(1e4 * differences, step=0.01).error > 0.01 / 5


def test_no_seeds_and_no_list_of_differences_are_refused() -> None:
    for wrong in (np.zeros(0), np.zeros((2, 3))):
        with pytest.raises(ValueError, match="one difference a seed"):
            paired(wrong)


def design(kind: str, seeds: int, graphs: int) -> tuple[np.ndarray, np.ndarray]:
    """graph and seed of each test: the same graphs for all seeds, a tenth anew, or of each seed as many as it likes."""
    sizes = {"fixed": [graphs] * seeds, "re-split": [graphs // 10] * seeds, "ragged": RNG.integers(2, graphs, seeds)}
    tested = [RNG.choice(graphs, size, replace=False) for size in sizes[kind]]
    return np.concatenate(tested), np.repeat(np.arange(seeds), sizes[kind])


@pytest.mark.parametrize("kind", ["fixed", "re-split", "ragged"])
@pytest.mark.parametrize("seeds", [2, 5, 20])
def test_b_is_statsmodels_two_way_clustered_error(kind: str, seeds: int) -> None:
    graph, seed = design(kind, seeds, 200)
    for of_graph, of_seed in ((1.0, 0.3), (0.0, 0.0), (0.0, 1.0)):
        noise = RNG.integers(-1, 2, len(graph)) + of_graph * RNG.normal(size=200)[graph]
        x = noise + of_seed * RNG.normal(size=seeds)[seed]
        ours = clustered(x, graph, seed)
        parts = [
            sm.OLS(x, np.ones(len(x))).fit(cov_type="cluster", cov_kwds={"groups": groups}).cov_params().item()
            for groups in (np.stack([graph, seed], axis=1), graph, seed)
        ]
        assert ours.mean == pytest.approx(x.mean()) and ours.seeds == seeds
        assert ours.error == pytest.approx(math.sqrt(max(parts)), rel=1e-9)


def test_b_has_the_degrees_of_freedom_of_what_is_fewer() -> None:
    """As statsmodels has them with `use_t`: of the graphs of a small test set, or of the seeds."""
    for graphs, seeds in ((6, 60), (40, 5)):
        graph, seed = np.tile(np.arange(graphs), seeds), np.repeat(np.arange(seeds), graphs)
        x = RNG.normal(size=graphs)[graph] + RNG.normal(size=len(graph))
        groups = np.stack([graph, seed], axis=1)
        theirs = sm.OLS(x, np.ones(len(x))).fit(cov_type="cluster", use_t=True, cov_kwds={"groups": groups})
        ours = clustered(x, graph, seed)
        assert ours.freedom == min(graphs, seeds) - 1 == theirs.df_resid_inference
        half = float(stats.t.ppf(0.975, ours.freedom)) * ours.error
        assert ours.interval(0.95) == pytest.approx((x.mean() - half, x.mean() + half))
        assert ours.with_seeds(1000).freedom == graphs - 1


def test_b_is_at_least_a() -> None:
    for _ in range(20):
        graph, seed = design("re-split", 10, 100)
        x = RNG.integers(-1, 2, len(graph)).astype(float)
        by_seed = np.bincount(seed, weights=x) / np.bincount(seed)
        a, b = paired(by_seed), clustered(x, graph, seed)
        assert b.mean == pytest.approx(a.mean) and b.error >= a.error * (1 - 1e-12)


def test_b_says_nothing_without_variance_graphs_or_seeds() -> None:
    graph, seed = np.tile(np.arange(5), 4), np.repeat(np.arange(4), 5)
    assert not clustered(np.zeros(20), graph, seed).known
    x = RNG.normal(size=20)
    assert not clustered(x, np.zeros(20, int), seed).known and not clustered(x, graph, np.zeros(20, int)).known


@pytest.mark.parametrize(("kind", "seeds"), [("fixed", 30), ("re-split", 30), ("fixed", 3)])
def test_the_error_that_seeds_do_not_lessen_is_that_of_the_graphs(kind: str, seeds: int) -> None:
    """σ/√G, where differences vary by graph with deviation σ and G graphs are tested; nothing where they do not."""
    graphs, sigma = 1000, 0.3
    found = {sigma: [], 0.0: []}
    for _ in range(20):
        graph, seed = design(kind, seeds, graphs)
        own = RNG.normal(size=graphs)
        for deviation, limits in found.items():
            x = deviation * own[graph] + 0.2 * RNG.normal(size=len(graph)) + 0.05 * RNG.normal(size=seeds)[seed]
            limits.append(clustered(x, graph, seed).limit ** 2)
    assert np.mean(found[sigma]) == pytest.approx(sigma**2 / graphs, rel=0.1)
    assert np.mean(found[0.0]) < 0.1 * sigma**2 / graphs
