"""Statistics as pure functions on arrays of scores, one entry a seed."""

import bisect
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests


@dataclass(frozen=True)
class Summary:
    """Scores of one cell. std: the sample standard deviation (n − 1); NaN for one seed."""

    n: int
    mean: float
    std: float


@dataclass(frozen=True)
class PairedDifference:
    """The mean of a − b over paired seeds, with its standard error and a two-sided confidence interval.

    The interval is NaN where nothing can be said of the spread: for one seed, and where all differences are the same,
    as of two networks that predict one class. The error is NaN and 0 then.
    """

    n: int
    mean: float
    error: float
    low: float
    high: float


Verdict = Literal["equivalent", "local better", "non-local better", "undecided", "too few seeds", "no variance"]


def summarise(scores: np.ndarray) -> Summary:
    """Mean and standard deviation. scores: [n], n ≥ 1."""
    std = float(np.std(scores, ddof=1)) if len(scores) > 1 else math.nan
    return Summary(len(scores), float(np.mean(scores)), std)


def paired_difference(
    a: np.ndarray, b: np.ndarray, test_to_train: float = 0.0, confidence: float = 0.95
) -> PairedDifference:
    """Student's interval for the mean of a − b, paired by seed.

    a, b: [n]. test_to_train: n_test / n_train where every seed splits the same graphs anew; the scores are
    then not independent, and the variance of the mean is s² (1/n + n_test/n_train) instead of s²/n
    (Nadeau and Bengio 2003, "Inference for the generalization error"). 0 where the split is fixed.
    """
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(f"expected two arrays of one score a seed, got shapes {a.shape} and {b.shape}")
    difference = a - b
    n, mean = len(difference), float(np.mean(difference))
    if n == 1:
        return PairedDifference(n, mean, math.nan, math.nan, math.nan)
    # Beyond twelve digits differences vary by their rounding.
    if np.ptp(difference) <= 1e-12 * np.abs([a, b]).max():
        return PairedDifference(n, mean, 0.0, math.nan, math.nan)
    error = standard_error(float(np.std(difference, ddof=1)), n, test_to_train)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    return PairedDifference(n, mean, error, mean - half, mean + half)


def standard_error(std: float, n: int, test_to_train: float) -> float:
    """Of the mean of n differences with sample standard deviation `std`: s √(1/n + n_test/n_train)."""
    return std * math.sqrt(1 / n + test_to_train)


def p_difference(difference: PairedDifference) -> float:
    """Student's two-sided p-value for a mean of zero. NaN where there is no interval."""
    if math.isnan(difference.low):
        return math.nan
    return float(2 * stats.t.sf(abs(difference.mean / difference.error), difference.n - 1))


def p_equivalence(difference: PairedDifference, margin: float) -> float:
    """The p-value of two one-sided tests for a mean within ±margin (Schuirmann 1987): the larger of the two.

    margin: greater than 0. NaN where there is no interval.
    """
    if math.isnan(difference.low):
        return math.nan
    return float(stats.t.sf((margin - abs(difference.mean)) / difference.error, difference.n - 1))


def equivalent_within(difference: PairedDifference, level: float = 0.05) -> float:
    """The smallest margin at which the two one-sided tests show equivalence. NaN where there is no interval."""
    if math.isnan(difference.low):
        return math.nan
    return abs(difference.mean) + float(stats.t.ppf(1 - level, difference.n - 1)) * difference.error


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values of a family of tests, adjusted so that comparing each with a level controls the chance of any error.

    Holm 1979. p_values: [m]; NaN, of tests that could not be made, stays so and does not count.
    """
    adjusted = np.full(len(p_values), math.nan)
    known = ~np.isnan(p_values)
    if known.any():
        adjusted[known] = multipletests(p_values[known], method="holm")[1]
    return adjusted


def no_verdict(difference: PairedDifference, fewest: int) -> Verdict | None:
    """Why nothing can be concluded from a difference, whatever its size; None if something can.

    fewest: the seeds that a verdict needs, at least 2.
    """
    if difference.n < fewest:
        return "too few seeds"
    return "no variance" if math.isnan(difference.low) else None


def verdict(mean: float, p_different: float, p_equivalent: float, level: float = 0.05) -> Verdict:
    """What p-values, adjusted for all tests of a family, say of a mean of non-local minus local.

    mean: positive where non-local is better. A difference that is there, but within the margin, is equivalent.
    """
    if p_equivalent < level:
        return "equivalent"
    if p_different < level:
        return "non-local better" if mean > 0 else "local better"
    return "undecided"


def seeds_needed(
    std: float,
    margin: float,
    test_to_train: float = 0.0,
    level: float = 0.05,
    power: float = 0.8,
    fewest: int = 2,
    most: int = 10_000,
) -> int | None:
    """How many seeds it takes to show equivalence with this power, if there is no difference at all.

    std: the standard deviation of the paired differences. fewest: that a verdict needs anyway. None if `most` do not
    suffice; where seeds split the same graphs anew, more seeds lessen the standard error down to s √(n_test/n_train)
    only.
    """

    def enough(n: int) -> bool:
        return power_of_equivalence(std, n, margin, test_to_train, level) >= power

    if not enough(most):
        return None
    return bisect.bisect_left(range(most + 1), True, lo=fewest, key=enough)


def power_of_equivalence(std: float, n: int, margin: float, test_to_train: float = 0.0, level: float = 0.05) -> float:
    """The chance that n seeds show equivalence if there is no difference, 2 F(margin/error − t) − 1 or 0.

    F and t: Student's distribution and its quantile 1 − level. Exact but for the estimate of the error.
    """
    if std == 0:
        return 1.0
    shift = margin / standard_error(std, n, test_to_train) - stats.t.ppf(1 - level, n - 1)
    return max(0.0, float(2 * stats.t.cdf(shift, n - 1) - 1))


def p_wilcoxon(a: np.ndarray, b: np.ndarray) -> float:
    """Wilcoxon's signed-rank test of a − b: a check that asks nothing of the distribution. NaN for one seed.

    It takes seeds as independent, so where they split the same graphs anew it finds too much.
    """
    if len(a) < 2:
        return math.nan
    # Scores that differ by as many graphs are ties; beyond five digits they would be ranked by their rounding.
    largest = max(float(np.abs([a, b]).max()), 1e-9)
    difference = np.round(a - b, 4 - math.floor(math.log10(largest)))
    return 1.0 if not difference.any() else float(stats.wilcoxon(difference).pvalue)


def bootstrap_interval(
    a: np.ndarray, b: np.ndarray, confidence: float = 0.95, samples: int = 5000
) -> tuple[float, float]:
    """The percentile interval of the mean of a − b over resampled seeds; see `p_wilcoxon`. NaN for one seed."""
    difference = a - b
    if len(difference) < 2:
        return math.nan, math.nan
    result = stats.bootstrap(
        (difference,), np.mean, confidence_level=confidence, n_resamples=samples, method="percentile", rng=0
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
