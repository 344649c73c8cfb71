"""The pooled answer: on closed forms, and by how it treats comparisons that share what varies."""

import math
import warnings

import numpy as np
import pytest
from scipy import stats
from scipy.stats import t as student
from statsmodels.stats.meta_analysis import combine_effects

from rethinking.analysis.inference.estimates import paired
from rethinking.analysis.inference.pooled import Effects, pool

RNG = np.random.default_rng(2)


def effects(values: list[np.ndarray], kin: list[object] | None = None) -> Effects:
    return Effects([dict(enumerate(map(float, v))) for v in values], kin or list(range(len(values))))


def test_of_one_comparison_it_is_the_paired_t() -> None:
    x = RNG.normal(size=8)
    alone = pool(effects([x]), 0.95)
    assert (alone.mean, alone.error, alone.freedom) == pytest.approx((x.mean(), x.std(ddof=1) / math.sqrt(8), 7))
    assert alone.interval(0.95) == pytest.approx(paired(x).interval(0.95)) and alone.between is None
    beyond = (abs(alone.mean) - alone.within(0.05)) / alone.error
    assert student.cdf(beyond, alone.freedom) == pytest.approx(0.05), "two one-sided tests show it at this level"


def test_independent_comparisons_average_their_variances() -> None:
    values = list(RNG.normal(size=(10, 20)) + RNG.normal(size=(10, 1)))
    made = pool(effects(values), 0.95)
    assert made.mean == pytest.approx(np.mean(values))
    assert made.error == pytest.approx(math.sqrt(sum(v.var(ddof=1) / 20 for v in values)) / 10)
    assert 100 < made.freedom <= 190


def test_what_is_kin_is_not_counted_twice() -> None:
    """The same differences twice say as much as once; half of the seeds in common, half as much of that."""
    x = RNG.normal(size=20)
    alone, twice = pool(effects([x]), 0.95), pool(effects([x, x], ["a", "a"]), 0.95)
    assert twice.error == pytest.approx(alone.error) and twice.freedom == pytest.approx(19)
    assert pool(effects([x, x], ["a", "b"]), 0.95).error == pytest.approx(alone.error / math.sqrt(2))
    assert pool(effects([x, -x], ["a", "a"]), 0.95).error == pytest.approx(0, abs=1e-9)


def test_what_is_kin_by_some_of_its_seeds_is_so_by_these() -> None:
    """Whatever the order in which seeds come."""
    a = dict(zip(range(10), RNG.normal(size=10), strict=True))
    b = {seed: a.get(seed, 0.0) + RNG.normal() for seed in RNG.permutation(np.arange(5, 25)).tolist()}
    made = pool(Effects([a, b], ["a", "a"]), 0.95)
    common = range(5, 10)
    covariance = np.cov([a[seed] for seed in common], [b[seed] for seed in common])[0, 1] * 5 / (10 * 20)
    own = [np.var(list(seeds.values()), ddof=1) / len(seeds) for seeds in (a, b)]
    assert made.mean == pytest.approx((np.mean(list(a.values())) + np.mean(list(b.values()))) / 2)
    assert made.error == pytest.approx(math.sqrt(sum(own) + 2 * covariance) / 2)
    assert made.freedom == pytest.approx(9), "of the one with fewer seeds"


def test_of_one_common_seed_nothing_is_known_to_be_shared() -> None:
    a, b = {0: 1.0, 1: 2.0, 2: 4.0}, {2: 1.0, 3: 3.0, 4: 8.0}
    apart = pool(Effects([a, b], ["a", "b"]), 0.95)
    assert pool(Effects([a, b], ["a", "a"]), 0.95).error == pytest.approx(apart.error)


def test_what_seeds_take_away_from_each_other_is_not_certainty() -> None:
    """An estimate of the variance that is not above zero is none."""
    z = np.arange(-2.0, 3.0)
    a = dict(enumerate(1 + z))
    b = dict(enumerate(np.concatenate([1 - 4.75 * z, np.ones(15)])))
    made = pool(Effects([a, b], ["a", "a"]), 0.95)
    assert made.error == pytest.approx(pool(Effects([a, b], ["a", "b"]), 0.95).error) and made.error > 0


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    covered = 0
    for _ in range(1000):
        shared = RNG.normal(size=10)
        values = [shared + RNG.normal(size=10), shared + RNG.normal(size=10), RNG.normal(size=10)]
        low, high = pool(effects(values, ["a", "a", "b"]), 0.95).interval(0.95)
        covered += low <= 0 <= high
    assert 0.93 <= covered / 1000 <= 0.97


@pytest.mark.parametrize("count", [3, 4, 12, 40])
@pytest.mark.parametrize("spread", [0.0, 0.2, 1.0, 30.0])
def test_random_effects_are_statsmodels_with_its_prediction_interval(count: int, spread: float) -> None:
    values = [RNG.normal(m, RNG.uniform(0.5, 2), 20) for m in RNG.normal(0, spread, count)]
    between = pool(effects(values), 0.95).between
    assert between is not None
    means, variances = [v.mean() for v in values], [v.var(ddof=1) / 20 for v in values]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = combine_effects(np.array(means), np.array(variances), method_re="iterated", use_t=True)
        expected = fit.summary_frame().loc["random effect wls", ["eff", "ci_low", "ci_upp"]]
    assert [between.mean, between.low, between.high] == pytest.approx(list(expected))
    assert between.variance == pytest.approx(max(0.0, fit.tau2))
    half = stats.t.ppf(0.975, count - 2) * math.sqrt(fit.tau2 + fit.sd_eff_w_re_hksj**2)
    assert between.new_high - between.mean == pytest.approx(half) == pytest.approx(between.mean - between.new_low)


def test_alike_comparisons_have_no_variance_between_them() -> None:
    x = RNG.normal(size=20)
    between = pool(effects([x + 1e-6 * RNG.normal(size=20) for _ in range(5)]), 0.95).between
    assert between is not None and between.variance == pytest.approx(0, abs=1e-6)
