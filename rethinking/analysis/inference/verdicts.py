"""What p-values, adjusted for looks and for all comparisons, say of a difference; in words that are always the same."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from rethinking.analysis.inference.claims import Claim
from rethinking.analysis.inference.needed import MOST


class Finding(StrEnum):
    """What was found, the strongest claim that was shown; or why nothing was."""

    EQUIVALENT = "does not matter"
    RELEVANT = "better by more than the margin"
    DIFFERENT = "better"
    NOT_WORSE = "not needed"
    UNDECIDED = "undecided"
    FEW_GRAPHS = "too few graphs"
    FEW_SEEDS = "too few seeds"
    NO_VARIANCE = "no variance"


DECIDED = (Finding.EQUIVALENT, Finding.RELEVANT, Finding.DIFFERENT, Finding.NOT_WORSE)


@dataclass(frozen=True)
class Verdict:
    """A finding. other: whether the second of the two is better, where one is.

    Of what is undecided, about: more: how many seeds are still needed, if the looks that are planned suffice. longer:
    with how many seeds a longer plan would decide it, if not; None if `MOST` would not.
    """

    finding: Finding
    other: bool = False
    more: int | None = None
    longer: int | None = None

    @property
    def decided(self) -> bool:
        """Whether anything was found."""
        return self.finding in DECIDED

    @property
    def judged(self) -> bool:
        """Whether there were seeds and variance enough to find anything."""
        return self.finding not in (Finding.FEW_SEEDS, Finding.NO_VARIANCE)

    def words(self, sides: tuple[str, str], amount: str) -> str:
        """sides: names of the two, `local` and `non-local`. amount: the margin, `1 point`."""
        better = sides[self.other]
        texts = {
            Finding.EQUIVALENT: f"does not matter (within {amount})",
            Finding.RELEVANT: f"{better} better by more than {amount}",
            Finding.DIFFERENT: f"{better} better",
            Finding.NOT_WORSE: f"{sides[0]} not needed (helps by less than {amount})",
            Finding.UNDECIDED: f"undecided: {self._seeds}",
            Finding.FEW_GRAPHS: "undecided: too few graphs",
            Finding.FEW_SEEDS: "no verdict: too few seeds",
            Finding.NO_VARIANCE: "no verdict: no variance",
        }
        return texts[self.finding]

    @property
    def _seeds(self) -> str:
        if self.more is not None:
            return f"about {self.more} more seeds"
        return f"would take about {self.longer} seeds" if self.longer else f"would take over {MOST} seeds"


def decide(other: np.ndarray, p: np.ndarray, level: float) -> Verdict:
    """The verdict of one comparison. A difference that is there, but within the margin, is none.

    p: of each claim, [4], adjusted. other: whether the second of the two was better when that was found, [4].
    """
    shown = p <= level
    for claim, finding in (
        (Claim.EQUIVALENT, Finding.EQUIVALENT),
        (Claim.RELEVANT, Finding.RELEVANT),
        (Claim.DIFFERENT, Finding.DIFFERENT),
        (Claim.NOT_WORSE, Finding.NOT_WORSE),
    ):
        if shown[claim]:
            return Verdict(finding, other=bool(other[claim]))
    return Verdict(Finding.UNDECIDED)
