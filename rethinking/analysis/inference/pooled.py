"""One answer from many comparisons: their mean, and what is to be expected of a further one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

# Of the variance between comparisons: how near its equation is solved, and after how many steps it has to do.
TOLERANCE, STEPS = 1e-5, 50
ROUNDING = 1e-9  # Of a sum of covariances, relative to the variances.


@dataclass(frozen=True)
class Effects:
    """Differences of several comparisons, in one unit. by_seed: of each, seed → difference.

    kin: of each, what it shares with others; comparisons of one kind covary.
    """

    by_seed: Sequence[dict[int, float]]
    kin: Sequence[object]


@dataclass(frozen=True)
class Pooled:
    """The mean over comparisons, with equal weights. freedom: of Student's t, after Satterthwaite.

    between: the mean for comparisons like these (random effects), with what is to be expected of a further one; None
    of fewer than three comparisons, or where it is not said.
    """

    comparisons: int
    mean: float
    error: float
    freedom: float
    between: "Between | None" = None

    def interval(self, confidence: float) -> tuple[float, float]:
        """Student's two-sided interval."""
        half = float(stdtrit(self.freedom, (1 + confidence) / 2)) * self.error
        return self.mean - half, self.mean + half

    def within(self, level: float) -> float:
        """The smallest margin at which two one-sided tests show equivalence."""
        return abs(self.mean) + float(stdtrit(self.freedom, 1 - level)) * self.error


@dataclass(frozen=True)
class Between:
    """The random-effects answer. variance: τ², between comparisons. new_low, new_high: a new cell's true difference."""

    mean: float
    low: float
    high: float
    variance: float
    new_low: float
    new_high: float


def pool(effects: Effects, confidence: float) -> Pooled:
    """The pooled answer on these data sets. Every comparison needs two seeds and a spread.

    The variance is the sum of the covariances of all means that are kin, by the seeds that they share; of their own
    variances alone where that sum is below zero.
    """
    values = [np.array(list(seeds.values())) for seeds in effects.by_seed]
    means, count = np.array([v.mean() for v in values]), len(values)
    total, spent = 0.0, 0.0
    for kind in dict.fromkeys(effects.kin):
        members = [seeds for seeds, kin in zip(effects.by_seed, effects.kin, strict=True) if kin == kind]
        own = sum(_covariance(a, b) for a in members for b in members)
        alone = sum(_covariance(a, a) for a in members)
        # Seeds that some have and others lack can take away more than there is.
        own = alone if own < -ROUNDING * alone else max(own, 0.0)
        total += own
        spent += own**2 / (min(map(len, members)) - 1)
    error = math.sqrt(total) / count
    variances = np.array([v.var(ddof=1) / len(v) for v in values])
    between = _between(means, variances, confidence) if count > 2 else None
    return Pooled(count, float(means.mean()), error, total**2 / spent if spent else 1.0, between)


def _covariance(a: dict[int, float], b: dict[int, float]) -> float:
    """Of the two means, from the seeds that both have."""
    common = list(a.keys() & b.keys())
    if len(common) < 2:
        return 0.0
    x, y = np.array([a[seed] for seed in common]), np.array([b[seed] for seed in common])
    share = len(common) / (len(a) * len(b))
    return float((x - x.mean()) @ (y - y.mean())) / (len(common) - 1) * share


# Both are `combine_effects` of statsmodels, which a test holds them against: importing that takes longer than a table.
def _between(means: np.ndarray, variances: np.ndarray, confidence: float) -> Between:
    """Random effects with the variance of Paule and Mandel, the interval of Hartung, Knapp, Sidik and Jonkman, and the
    prediction interval of Higgins, Thompson and Spiegelhalter (2009)."""
    count, variance = len(means), _variance_between(means, variances)
    weights = 1 / (variances + variance)
    weights = weights / weights.sum()
    mean = float((weights * means).sum())
    error = math.sqrt((weights * (means - mean) ** 2).sum() / (count - 1))
    half = float(stdtrit(count - 1, (1 + confidence) / 2)) * error
    new = float(stdtrit(count - 2, (1 + confidence) / 2)) * math.sqrt(variance + error**2)
    return Between(mean, mean - half, mean + half, variance, mean - new, mean + new)


def _variance_between(means: np.ndarray, variances: np.ndarray) -> float:
    """τ² of Paule and Mandel: weighted squares as large as expected. Newton's steps (DerSimonian and Kacker, 2007)."""
    variance = 0.0
    for _ in range(STEPS):
        weights = 1 / (variances + variance)
        squares = (means - weights @ means / weights.sum()) ** 2
        excess = float(weights @ squares) - (len(means) - 1)
        if excess < 0:
            return 0.0
        if excess <= TOLERANCE:
            break
        variance += excess / float(weights**2 @ squares)
    return variance
