"""What describes scores and their differences, one entry a seed; what is concluded from them: `inference/`."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Summary:
    """Scores of one cell. std: the sample standard deviation (n − 1); NaN for one seed."""

    n: int
    mean: float
    std: float


def summarise(scores: np.ndarray) -> Summary:
    """Mean and standard deviation. scores: [n], n ≥ 1."""
    std = float(np.std(scores, ddof=1)) if len(scores) > 1 else math.nan
    return Summary(len(scores), float(np.mean(scores)), std)


def p_wilcoxon(a: np.ndarray, b: np.ndarray) -> float:
    """Wilcoxon's signed-rank test of a − b: a check that asks nothing of the distribution. NaN for one seed."""
    if len(a) < 2:
        return math.nan
    # Late, as below: importing it takes longer than a table that needs none of these.
    from scipy import stats

    # Scores that differ by as many graphs are ties; beyond five digits they would be ranked by their rounding.
    largest = max(float(np.abs([a, b]).max()), 1e-9)
    difference = np.round(a - b, 4 - math.floor(math.log10(largest)))
    return 1.0 if not difference.any() else float(stats.wilcoxon(difference).pvalue)


def bootstrap_interval(differences: np.ndarray, confidence: float, samples: int = 5000) -> tuple[float, float]:
    """The percentile interval of the mean over resampled seeds, a check too. differences: [n]. NaN for one seed."""
    if len(differences) < 2:
        return math.nan, math.nan
    from scipy import stats

    result = stats.bootstrap(
        (differences,), np.mean, confidence_level=confidence, n_resamples=samples, method="percentile", rng=0
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
