"""Statistics on closed forms, against scipy, and by their coverage."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from rethinking.analysis.statistics import (
    bootstrap_interval,
    equivalent_within,
    holm,
    no_verdict,
    p_difference,
    p_equivalence,
    p_wilcoxon,
    paired_difference,
    power_of_equivalence,
    seeds_needed,
    summarise,
    verdict,
)


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
    noise = 0.01 * np.random.default_rng(0).normal(size=20)
    difference = paired_difference(shared + 0.5 + noise, shared)
    assert difference.low == pytest.approx(0.5, abs=0.02) == difference.high


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


def random_scores(seed: int, shift: float = 0.0, n: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(shift, 1, n), rng.normal(0, 1, n)


def test_equals_the_paired_tests_of_scipy_and_statsmodels() -> None:
    for seed in range(5):
        a, b = random_scores(seed, 0.2)
        difference = paired_difference(a, b)
        assert p_difference(difference) == pytest.approx(stats.ttest_rel(a, b).pvalue)
        assert p_equivalence(difference, 0.7) == pytest.approx(ttost_paired(a, b, -0.7, 0.7)[0])
        # At the smallest margin that is enough the test is just significant.
        assert p_equivalence(difference, equivalent_within(difference)) == pytest.approx(0.05)


def test_holm_on_a_worked_example() -> None:
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.005])
    assert holm(p) == pytest.approx([0.03, 0.06, np.nan, 0.06, 0.02], nan_ok=True)
    assert np.isnan(holm(np.array([np.nan]))).all()


@pytest.mark.parametrize("shared", [np.zeros(20), 100 * np.random.default_rng(0).random(20)])
def test_differences_that_do_not_vary_say_nothing(shared: np.ndarray) -> None:
    """As of two networks that predict one class for all graphs; also where they vary by their rounding."""
    for shift in (0.0, 0.5):
        same = paired_difference(shared + shift, shared)
        assert same.mean == pytest.approx(shift) and same.error == 0
        assert np.isnan(
            [same.low, same.high, p_difference(same), p_equivalence(same, 0.6), equivalent_within(same)]
        ).all()
        assert no_verdict(same, fewest=5) == "no variance"


def test_a_verdict_needs_seeds_enough() -> None:
    for n in range(1, 8):
        difference = paired_difference(*random_scores(0, n=n))
        assert no_verdict(difference, fewest=5) == ("too few seeds" if n < 5 else None)
    assert no_verdict(paired_difference(np.zeros(2), np.zeros(2)), fewest=5) == "too few seeds"


def test_verdicts() -> None:
    assert verdict(0.1, 0.001, 0.01) == "equivalent"
    assert verdict(0.1, 0.001, 0.9) == "non-local better"
    assert verdict(-0.1, 0.001, 0.9) == "local better"
    assert verdict(-0.1, 0.2, 0.2) == verdict(0.1, math.nan, math.nan) == "undecided"


@pytest.mark.parametrize("test_to_train", [0.0, 1 / 8])
def test_error_rates_are_as_promised(test_to_train: float) -> None:
    """Scores that share a part, as far as Nadeau and Bengio assume where seeds split the same graphs anew.

    At the margin 5 % are called equivalent; with no difference 5 % differ, and the power is what the formula says.
    """
    rng, n, margin, trials = np.random.default_rng(1), 20, 0.9, 4000
    share = test_to_train / (1 + test_to_train)
    noise = math.sqrt(share) * rng.normal(size=(trials, 1)) + math.sqrt(1 - share) * rng.normal(size=(trials, n))
    zero = np.zeros(n)
    centred = [paired_difference(row, zero, test_to_train) for row in noise]
    shifted = [paired_difference(row + margin, zero, test_to_train) for row in noise]
    different = sum(p_difference(d) < 0.05 for d in centred)
    wrong = sum(p_equivalence(d, margin) < 0.05 for d in shifted)
    right = sum(p_equivalence(d, margin) < 0.05 for d in centred)
    assert stats.binomtest(different, trials, 0.05).pvalue > 1e-3
    assert stats.binomtest(wrong, trials, 0.05).pvalue > 1e-3
    expected = power_of_equivalence(math.sqrt(1 - share), n, margin, test_to_train)
    assert right / trials == pytest.approx(expected, abs=0.04)


def test_seeds_needed() -> None:
    n = seeds_needed(std=2.0, margin=1.0)
    assert n is not None
    assert power_of_equivalence(2.0, n, 1.0) >= 0.8 > power_of_equivalence(2.0, n - 1, 1.0)
    # The normal approximation: n = (z_0.95 + z_0.9)² σ²/δ².
    assert n == pytest.approx((stats.norm.ppf(0.95) + stats.norm.ppf(0.9)) ** 2 * 4, abs=2)
    assert seeds_needed(std=0.0, margin=1.0) == 2
    assert seeds_needed(std=0.1, margin=1.0) < seeds_needed(std=0.1, margin=1.0, fewest=5) == 5
    # Where seeds share graphs the error does not fall below s √(n_test/n_train).
    assert seeds_needed(std=2.0, margin=1.0, test_to_train=1 / 8) is None
    assert seeds_needed(std=0.5, margin=1.0, test_to_train=1 / 8) is not None


def test_checks_that_ask_less_of_the_scores() -> None:
    a, b = random_scores(3, 1.0)
    assert p_wilcoxon(a, b) == pytest.approx(stats.wilcoxon(a, b).pvalue)
    assert p_wilcoxon(a, a) == 1
    low, high = bootstrap_interval(a, b)
    plain = paired_difference(a, b)
    assert (low, high) == (pytest.approx(plain.low, abs=0.1), pytest.approx(plain.high, abs=0.1))
    assert bootstrap_interval(a, b) == (low, high)
    assert np.isnan([p_wilcoxon(a[:1], b[:1]), *bootstrap_interval(a[:1], b[:1])]).all()


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
