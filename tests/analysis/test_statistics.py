"""Statistics on closed forms, against scipy, and by their coverage."""

import math

import numpy as np
import pytest
from scipy import stats

from rethinking.analysis.statistics import paired_difference, summarise


def test_summary() -> None:
    summary = summarise(np.array([1.0, 2.0, 4.0]))
    assert (summary.n, summary.mean) == (3, pytest.approx(7 / 3))
    assert summary.std == pytest.approx(math.sqrt(((4 / 3) ** 2 + (1 / 3) ** 2 + (5 / 3) ** 2) / 2))
    assert math.isnan(summarise(np.array([1.0])).std)


def test_equals_scipys_paired_interval_on_fixed_splits() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(20), rng.random(20)
    ours = paired_difference(a, b)
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (ours.low, ours.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_the_correction_widens_by_its_factor() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(20), rng.random(20)
    plain, corrected = paired_difference(a, b), paired_difference(a, b, test_to_train=1 / 8)
    assert corrected.mean == plain.mean
    factor = (corrected.high - corrected.low) / (plain.high - plain.low)
    assert factor == pytest.approx(math.sqrt((1 / 20 + 1 / 8) / (1 / 20)))


def test_pairing_removes_what_seeds_share() -> None:
    shared = np.linspace(0, 10, 20)
    difference = paired_difference(shared + 0.5, shared)
    assert difference.low == pytest.approx(0.5) == difference.high


def test_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        difference = paired_difference(rng.normal(0.3, 1, 20), rng.normal(0, 1, 20))
        covered += difference.low <= 0.3 <= difference.high
    assert stats.binomtest(covered, 2000, 0.95).pvalue > 1e-3


def test_one_seed_has_no_interval_and_unpaired_scores_are_refused() -> None:
    assert math.isnan(paired_difference(np.array([1.0]), np.array([0.5])).low)
    with pytest.raises(ValueError, match="one score a seed"):
        paired_difference(np.zeros(3), np.zeros(4))
