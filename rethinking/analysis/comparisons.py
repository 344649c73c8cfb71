"""Local against non-local pooling: for each data set and family, paired by seed, with a verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from rethinking import paths
from rethinking.analysis import statistics
from rethinking.analysis.pairs import Choice, Pair, find_pairs
from rethinking.analysis.statistics import PairedDifference, Verdict
from rethinking.analysis.tidy import Results
from rethinking.configuration.cell import PAPER
from rethinking.errors import UserError
from rethinking.tasks.task import Unit


@dataclass(frozen=True)
class Question:
    """`conf/compare.yaml`.

    left_out: data sets that are compared only if they are named. reference: the local variant.
    seeds: with fewer a comparison is partial. fewest: with fewer it has no verdict.
    margins: by metric, in its own unit (0.01 is one point of accuracy), in place of those recorded with the runs.
    """

    level: float
    confidence: float
    power: float
    seeds: int
    fewest: int
    left_out: Sequence[str]
    reference: str
    margins: Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """One non-local variant against the local one of the same family, in the metric's unit of the tables.

    settings: what tells the two from other cells of that family on that data set; empty if there are none.
    reference: the local variant. local, other: the cells' ids. older: whether the runs are of schema 1.
    a: the scores of the non-local variant, b: of the local one, by common seeds.
    difference: of a − b. test_to_train: see `paired_difference`.
    p_different, p_equivalent: adjusted for all comparisons made together. within: the smallest margin at which the
    two are equivalent, without adjustment. needed: the seeds that show equivalence at the margin, None if none do.
    All four say nothing where it is not `judged`: NaN, and None.
    """

    dataset: str
    family: str
    settings: str
    variant: str
    reference: str
    metric: str
    unit: Unit
    higher_is_better: bool
    local: str
    other: str
    older: bool
    a: np.ndarray
    b: np.ndarray
    test_to_train: float
    difference: PairedDifference
    margin: float
    p_different: float
    p_equivalent: float
    within: float
    needed: int | None
    verdict: Verdict

    @property
    def judged(self) -> bool:
        """Whether there are seeds and variance enough for a verdict, be it `undecided`."""
        return not math.isnan(self.p_equivalent)

    @property
    def gain(self) -> float:
        """By how much the non-local variant is better; negative if it is worse."""
        return self.difference.mean if self.higher_is_better else -self.difference.mean


def question(**changed: Any) -> Question:
    """What the configuration asks, with some of it changed. Raises UserError for values that make no sense."""
    asked = OmegaConf.to_container(OmegaConf.load(paths.CONF / "compare.yaml"))
    assert isinstance(asked, dict)
    made = Question(**{"margins": {}, **{str(key): value for key, value in (asked | changed).items()}})
    if not all(0 < margin < math.inf for margin in made.margins.values()) or not 0 < made.level < 0.5:
        margins = ", ".join(f"{metric}={margin}" for metric, margin in made.margins.items())
        raise UserError(f"margins: {margins}; level: {made.level}. Expected margins above 0, a level below 0.5.")
    if made.fewest < 2:
        raise UserError(f"fewest={made.fewest}; expected at least 2 seeds, as one says nothing of the spread.")
    return made


def compare(
    results: Results, asked: Question, fidelity: str = PAPER, datasets: Sequence[str] = (), families: Sequence[str] = ()
) -> tuple[list[Comparison], list[str]]:
    """All comparisons that the runs allow, of some data sets and families or of all but those left out.

    Cells are compared that differ in nothing but the Select. Also returns sentences on what could not be compared.
    Raises UserError if nothing can.
    """
    pairs, unpaired = find_pairs(results, Choice(fidelity, datasets, families, asked.left_out, asked.reference))
    made = [comparison for pair in pairs if (comparison := _compared(results, pair, asked)) is not None]
    if not made:
        chosen = " and ".join(filter(None, [", ".join(datasets), ", ".join(families)]))
        raise UserError(
            f"There is nothing to compare{' of ' + chosen if chosen else ''} with fidelity={fidelity}: it takes a "
            f"family's {asked.reference} variant and a non-local one on the same data set, such as "
            "`rethinking run -m model=graclus pooling=learned,complement dataset=nci1`."
            + ("" if datasets else f" Only if named with --dataset: {', '.join(asked.left_out)}.")
            + "".join(f" {t}" for t in unpaired)
        )
    return _with_verdicts(made, asked), unpaired


def frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """A row a comparison, in the metric's unit, with the checks that ask less of the scores."""
    rows = []
    for c in comparisons:
        low, high = statistics.bootstrap_interval(c.a, c.b)
        rows.append(
            {
                "data set": c.dataset,
                "family": c.family,
                "settings": c.settings,
                "variant": c.variant,
                "reference": c.reference,
                "metric": c.metric,
                "schema 1": c.older,
                "seeds": c.difference.n,
                "local": c.b.mean(),
                "non-local": c.a.mean(),
                "difference": c.difference.mean,
                "standard error": c.difference.error,
                "low": c.difference.low,
                "high": c.difference.high,
                "test": "corrected for re-split graphs" if c.test_to_train else "paired t",
                "margin": c.margin,
                "p different (Holm)": c.p_different,
                "p equivalent (Holm)": c.p_equivalent,
                "equivalent within": c.within,
                "seeds needed": "" if not c.judged else "none suffice" if c.needed is None else c.needed,
                "verdict": c.verdict,
                "p Wilcoxon": statistics.p_wilcoxon(c.a, c.b),
                "bootstrap low": low,
                "bootstrap high": high,
            }
        )
    return pd.DataFrame(rows)


def _compared(results: Results, pair: Pair, asked: Question) -> Comparison | None:
    """The comparison without its verdict; None if the two have no seed in common."""
    local, other = pair.local, pair.other
    measure, scale = other.measure, other.measure.unit.scale
    a, b = (scale * results.scores(cell.id, measure.metric) for cell in (other, local))
    both = a.index.intersection(b.index)
    if both.empty:
        return None
    first, second = a[both].to_numpy(), b[both].to_numpy()
    ratio = other.test_to_train
    difference = statistics.paired_difference(first, second, ratio, asked.confidence)
    # The stricter one, should the two have been trained with different margins.
    margin = scale * asked.margins.get(measure.metric, min(measure.margin, local.measure.margin))
    without = statistics.no_verdict(difference, asked.fewest)
    needed = None
    if not without:
        spread = float(np.std(first - second, ddof=1))
        needed = statistics.seeds_needed(spread, margin, ratio, asked.level, asked.power, asked.fewest)
    return Comparison(
        dataset=other.title,
        family=other.config["family"],
        settings=pair.settings,
        variant=other.config["variant"],
        reference=local.config["variant"],
        metric=measure.metric,
        unit=measure.unit,
        higher_is_better=measure.higher_is_better,
        local=local.id,
        other=other.id,
        older=other.older,
        a=first,
        b=second,
        test_to_train=ratio,
        difference=difference,
        margin=margin,
        p_different=math.nan if without else statistics.p_difference(difference),
        p_equivalent=math.nan if without else statistics.p_equivalence(difference, margin),
        within=math.nan if without else statistics.equivalent_within(difference, asked.level),
        needed=needed,
        verdict=without or "undecided",
    )


def _with_verdicts(made: Sequence[Comparison], asked: Question) -> list[Comparison]:
    """With p-values adjusted for all of them that can be judged."""
    different = statistics.holm(np.array([c.p_different for c in made]))
    equivalent = statistics.holm(np.array([c.p_equivalent for c in made]))
    return [
        replace(c, p_different=float(d), p_equivalent=float(e), verdict=statistics.verdict(c.gain, d, e, asked.level))
        if c.judged
        else c
        for c, d, e in zip(made, different, equivalent, strict=True)
    ]
