"""What describes scores, on closed forms and against scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from rethinking.analysis.inference.estimates import paired
from rethinking.analysis.statistics import bootstrap_interval, p_wilcoxon, summarise


def test_summary() -> None:
    summary = summarise(np.array([1.0, 2.0, 4.0]))
    assert (summary.n, summary.mean) == (3, pytest.approx(7 / 3))
    assert summary.std == pytest.approx(math.sqrt(((4 / 3) ** 2 + (1 / 3) ** 2 + (5 / 3) ** 2) / 2))
    assert math.isnan(summarise(np.array([1.0])).std)


def test_checks_that_ask_less_of_the_scores() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(1, 1, 20), rng.normal(0, 1, 20)
    differences = a - b
    assert p_wilcoxon(a, b) == pytest.approx(stats.wilcoxon(a, b).pvalue)
    assert p_wilcoxon(a, a) == 1
    low, high = bootstrap_interval(differences, 0.95)
    assert (low, high) == pytest.approx(paired(differences).interval(0.95), abs=0.1)
    assert bootstrap_interval(differences, 0.95) == (low, high)
    assert np.isnan([p_wilcoxon(a[:1], b[:1]), *bootstrap_interval(differences[:1], 0.95)]).all()


def test_wilcoxon_ranks_differences_and_not_their_rounding() -> None:
    """Counts of graphs, shares, per cent, and per cent of what was kept to six digits have one p."""
    rng = np.random.default_rng(3)
    a, b = rng.integers(270, 320, (2, 20)).astype(float)
    expected = p_wilcoxon(a, b)
    for graphs in (411, 49):
        shares = a / graphs, b / graphs
        kept = tuple(np.array([float(f"{share:.6g}") for share in part]) for part in shares)
        for first, second in (shares, kept, (100 * shares[0], 100 * shares[1]), (100 * kept[0], 100 * kept[1])):
            assert p_wilcoxon(first, second) == pytest.approx(expected)
