"""How many seeds it would take until something is decided."""

import bisect
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from rethinking.analysis.inference.claims import Claim
from rethinking.analysis.inference.estimates import Estimate
from rethinking.analysis.inference.looks import weights

MOST = 10_000


def seeds_needed(
    estimate: Estimate, margin: float, levels: np.ndarray, power: float, plan: Sequence[int], most: int = MOST
) -> int | None:
    """With how many seeds one of the claims is decided with this power, if mean and spread are what they seem to be.

    levels: of the four claims, what multiplicity leaves, [4]. plan: the looks, each with its weight. More seeds than at
    the last one are those of a longer plan, with one look more; in this one they would count for nothing. None if
    `most` do not suffice: for new graphs more seeds lessen the error down to `estimate.limit` only.
    """
    for look, share in zip(plan, weights(plan), strict=True):
        if look > estimate.seeds and _enough(estimate.with_seeds(look), margin, share * levels, power):
            return look

    def enough(n: int) -> bool:
        return _enough(estimate.with_seeds(n), margin, weights([*plan, n])[-1] * levels, power)

    return bisect.bisect_left(range(most), True, lo=plan[-1] + 1, key=enough) if enough(most) else None


def _enough(estimate: Estimate, margin: float, levels: np.ndarray, power: float) -> bool:
    """Whether the mean is so far from where a claim ends that its test finds that with this power."""
    size, freedom = abs(estimate.mean), estimate.freedom
    quantiles = stdtrit(freedom, 1 - levels)
    two_sided = stdtrit(freedom, 1 - levels[Claim.DIFFERENT] / 2)
    reserve = stdtrit(freedom, power)
    return bool(
        size >= (two_sided + reserve) * estimate.error
        or margin - size >= (quantiles[Claim.EQUIVALENT] + reserve) * estimate.error
        or margin + estimate.mean >= (quantiles[Claim.NOT_WORSE] + reserve) * estimate.error
        or size - margin >= (quantiles[Claim.RELEVANT] + reserve) * estimate.error
    )
