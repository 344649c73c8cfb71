"""The four claims that can be made of a difference, each with its test. Positive: the non-local variant is better."""

from enum import IntEnum

import numpy as np
from scipy.special import stdtr

from rethinking.analysis.inference.estimates import Estimate


class Claim(IntEnum):
    """What is claimed of the true difference δ, and its place in an array of p-values."""

    DIFFERENT = 0  # δ ≠ 0
    EQUIVALENT = 1  # |δ| < margin
    NOT_WORSE = 2  # δ > −margin: the non-local variant is not worse by the margin
    RELEVANT = 3  # |δ| > margin


def p_values(estimate: Estimate, margin: float) -> np.ndarray:
    """The p-value of each claim, [4]; NaN where the spread is not known. See `p_values_of`."""
    mean, error, freedom = np.array([estimate.mean, estimate.error, estimate.freedom])[:, None]
    return p_values_of(mean, error, freedom, margin)[0]


def p_values_of(mean: np.ndarray, error: np.ndarray, freedom: np.ndarray, margin: float) -> np.ndarray:
    """The same of many estimates. mean, error, freedom: [...], as Student's t takes them. Returns [..., 4].

    Different: the two-sided t test. Equivalent: two one-sided tests, the larger p (Schuirmann 1987). Not worse: one
    one-sided test. Relevant: the chance of so large a |mean| if |δ| were the margin, which is greater than 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        size, reach = np.abs(mean) / error, margin / error
        parts = (
            2 * _beyond(size, freedom),
            _beyond(reach - size, freedom),
            _beyond(reach + mean / error, freedom),
            _beyond(size - reach, freedom) + _beyond(size + reach, freedom),
        )
    return np.minimum(1.0, np.stack(np.broadcast_arrays(*parts), axis=-1))


def _beyond(t: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """The chance of a larger t."""
    return stdtr(freedom, -t)
