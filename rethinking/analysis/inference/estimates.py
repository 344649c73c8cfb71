"""What is estimated of a mean difference: on this data set (A), from the scores of paired seeds.

On new graphs of the same kind (B) it is estimated from single graphs, see `clustered.py`; here is what stands in its
place where there are none.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtrit

# Beyond twelve digits differences vary by their rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Estimate:
    """A mean difference, whose error has Student's distribution.

    error: its standard error; NaN where nothing can be said of the spread, as for one seed, or where all differences
    are the same. limit: the standard error that would be left however many seeds there were. graphs: over how many
    graphs errors are clustered too; None where they are not.
    """

    seeds: int
    mean: float
    error: float
    limit: float = 0.0
    graphs: int | None = None

    @property
    def freedom(self) -> int:
        """The degrees of freedom: one less than there are seeds, or graphs if these are fewer."""
        return min(self.seeds, self.seeds if self.graphs is None else self.graphs) - 1

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return not math.isnan(self.error)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Student's two-sided interval; NaN where the spread is not known."""
        if not self.known:
            return math.nan, math.nan
        half = float(stdtrit(self.freedom, (1 + confidence) / 2)) * self.error
        return self.mean - half, self.mean + half

    def with_seeds(self, n: int) -> "Estimate":
        """What is to be expected of n seeds, if the mean and the spread stay as they are."""
        variance = self.limit**2 + (self.error**2 - self.limit**2) * self.seeds / n
        return replace(self, seeds=n, error=math.sqrt(variance))


def paired(differences: np.ndarray, step: float = 0.0) -> Estimate:
    """Estimand A: Student's paired t, as seeds are independent given the data set.

    differences: [K], one a seed. step: by how much one test graph moves a score, where scores count graphs; a
    variance below step²/K, that of one graph in all seeds, is chance. Raises ValueError for no seeds.
    """
    seeds = _seeds(differences)
    mean, spread = float(np.mean(differences)), spread_of(differences)
    return Estimate(seeds, mean, max(spread, step / math.sqrt(seeds)) / math.sqrt(seeds))


def corrected(differences: np.ndarray, test_to_train: float) -> Estimate:
    """In place of estimand B where single graphs are not known, and seeds split the same graphs anew: approximate.

    test_to_train: n_test / n_train; the variance of the mean is s² (1/K + n_test/n_train) (Nadeau and Bengio 2003,
    "Inference for the generalization error"). It covers 99 to 100 % where 95 % are wanted, and 70 % where it matters
    most which graphs were trained on.
    """
    seeds, spread = _seeds(differences), spread_of(differences)
    error = spread * math.sqrt(1 / seeds + test_to_train)
    return Estimate(seeds, float(np.mean(differences)), error, spread * math.sqrt(test_to_train))


def spread_of(differences: np.ndarray) -> float:
    """Their standard deviation; NaN for one, and where they are the same but for rounding."""
    if len(differences) < 2 or np.ptp(differences) <= ROUNDING * max(1.0, float(np.abs(differences).max())):
        return math.nan
    return float(np.std(differences, ddof=1))


def _seeds(differences: np.ndarray) -> int:
    if differences.ndim != 1 or not len(differences):
        raise ValueError(f"expected one difference a seed, got the shape {differences.shape}")
    return len(differences)
