"""Statistics as pure functions on arrays of scores, one entry a seed."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Summary:
    """Scores of one cell. std: the sample standard deviation (n − 1); NaN for one seed."""

    n: int
    mean: float
    std: float


@dataclass(frozen=True)
class PairedDifference:
    """The mean of a − b over paired seeds, with a two-sided confidence interval."""

    n: int
    mean: float
    low: float
    high: float


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
    The interval is NaN for one seed.
    """
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(f"expected two arrays of one score a seed, got shapes {a.shape} and {b.shape}")
    difference = a - b
    n, mean = len(difference), float(np.mean(difference))
    if n == 1:
        return PairedDifference(n, mean, math.nan, math.nan)
    error = math.sqrt(np.var(difference, ddof=1) * (1 / n + test_to_train))
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    return PairedDifference(n, mean, mean - half, mean + half)
