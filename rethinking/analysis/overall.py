"""The answer of many comparisons together: their pooled difference, and how many are decided one by one."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

from rethinking.analysis.comparisons import Comparison
from rethinking.analysis.inference.pooled import Effects, Pooled, pool
from rethinking.analysis.pairs import POOLING
from rethinking.analysis.questions import Question
from rethinking.tasks.task import Unit

# Where metrics or margins differ, a difference is told in margins.
MARGINS = Unit("margins", scale=1, digits=1)

Kin = Callable[[Comparison], Hashable]


@dataclass(frozen=True)
class Overall:
    """title: what the comparisons are of. pooled: of those that can be judged; None if there are none.

    unit, margin: that the pooled numbers are in, and the margin in that unit.
    """

    title: str
    comparisons: Sequence[Comparison]
    pooled: Pooled | None
    unit: Unit
    margin: float

    @property
    def decided(self) -> list[Comparison]:
        """Those that are decided one by one, on this data set."""
        return [c for c in self.comparisons if c.verdict.decided]

    @property
    def amount(self) -> str:
        """What verdicts are to call the margin, so that the same ones have the same words; empty for how much it is."""
        return "a margin" if self.unit is MARGINS else ""


def of_one_reference(c: Comparison) -> Hashable:
    """Comparisons with one reference: of a family on a data set, or of a data set if all are held against one model."""
    return (c.dataset, c.reference) if c.sides == POOLING else (c.dataset, c.family)


def of_one_data_set(c: Comparison) -> Hashable:
    """Comparisons on a data set, whatever their families: where many share the splits of their seeds."""
    return c.dataset


def overall(
    comparisons: Sequence[Comparison], asked: Question, title: str = "all", kin: Kin = of_one_reference
) -> Overall:
    """All comparisons together, with equal weights. kin: what those have in common that share seeds and so covary.

    What is to be expected of a further one is not said of those that are all held against the same runs: their
    differences vary together, as those of a further one would not.
    """
    kinds = {(c.metric, c.margin) for c in comparisons}
    alike = len(kinds) == 1
    judged = [c for c in comparisons if c.judged]
    pooled = None
    if judged:
        scales = [1 if alike else c.margin for c in judged]
        by_seed = [
            dict(zip(map(int, c.seeds), c.differences / scale, strict=True))
            for c, scale in zip(judged, scales, strict=True)
        ]
        pooled = pool(Effects(by_seed, [kin(c) for c in judged]), asked.confidence)
        if any(c.sides == POOLING for c in judged):
            pooled = replace(pooled, between=None)
    unit, margin = (comparisons[0].unit, comparisons[0].margin) if alike else (MARGINS, 1.0)
    return Overall(title, comparisons, pooled, unit, margin)


def by_data_set(comparisons: Sequence[Comparison], asked: Question) -> list[Overall]:
    """The same of each data set."""
    titles = dict.fromkeys(c.title for c in comparisons)
    return [overall([c for c in comparisons if c.title == title], asked, title) for title in titles]
