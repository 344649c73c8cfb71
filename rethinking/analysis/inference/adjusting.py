"""Many comparisons at once: p-values adjusted for all of a family, and the level that this leaves to each."""

from typing import Literal

import numpy as np

from rethinking.analysis.inference.claims import Claim

Adjustment = Literal["bh", "holm"]


def adjusted(p: np.ndarray, how: Adjustment) -> np.ndarray:
    """p-values of a family, to be compared with the level. p: [comparisons, claims]; a NaN stays so and does not count.

    bh: Benjamini and Hochberg (1995), for each claim by itself: of what is found, no more than the level is wrong on
    average. As no difference can be 0 and as large as the margin, that holds for the verdicts too. holm: Holm (1979),
    over all claims together, as two Holms reach .094 where .05 is wanted: the chance of any error.
    """
    result = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    parts = [known] if how == "holm" else [known & (np.arange(p.shape[1]) == claim) for claim in range(p.shape[1])]
    for part in parts:
        if part.any():
            result[part] = _holm(p[part]) if how == "holm" else _benjamini_hochberg(p[part])
    return result


def level_left(adjusted_p: np.ndarray, level: float, how: Adjustment) -> np.ndarray:
    """At which level one more comparison would be decided, for each claim, as things stand. Returns [claims].

    adjusted_p: [comparisons, claims], as `adjusted` gives it.
    """
    known = ~np.isnan(adjusted_p)
    found = np.sum(known & (np.nan_to_num(adjusted_p, nan=1.0) <= level), axis=0)
    if how == "holm":
        return np.full(adjusted_p.shape[1], level / max(1, int(known.sum() - found.sum())))
    tested = np.maximum(1, known.sum(axis=0))
    return level * np.minimum(found + 1, tested) / tested


def least_level(level: float, comparisons: int, how: Adjustment) -> float:
    """The level at which a claim of one of some comparisons is tested at the least, whatever the others come to.

    Benjamini and Hochberg leave level / comparisons to the first of each claim, Holm as much of all claims together.
    """
    return level / comparisons / (len(Claim) if how == "holm" else 1)


# The rest is `multipletests` of statsmodels, which a test holds it against: importing that takes as long as a table.
def _benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """p · n / rank, made monotone from the largest down. p: [n]."""
    order = np.argsort(p)[::-1]
    raised = np.minimum.accumulate(p[order] / (np.arange(len(p), 0, -1) / len(p)))
    result = np.empty_like(p)
    result[order] = np.minimum(raised, 1)
    return result


def _holm(p: np.ndarray) -> np.ndarray:
    """p · (n − rank + 1), made monotone from the smallest up. p: [n]."""
    order = np.argsort(p)
    result = np.empty_like(p)
    result[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return result
