"""The answer to one question on one comparison, from estimates to a verdict: A, on this data set, and B, on new graphs.

Here are arrays only; `comparisons.py` has them from runs, and `scripts/calibration.py` from made-up populations.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rethinking.analysis.inference.adjusting import adjusted, level_left
from rethinking.analysis.inference.claims import Claim, p_values
from rethinking.analysis.inference.clustered import clustered
from rethinking.analysis.inference.estimates import Estimate, corrected, paired
from rethinking.analysis.inference.looks import looks_so_far, sequential
from rethinking.analysis.inference.needed import seeds_needed
from rethinking.analysis.inference.verdicts import Finding, Verdict, decide
from rethinking.analysis.questions import Question
from rethinking.analysis.single_graphs import GraphDifferences


@dataclass(frozen=True)
class Answer:
    """To one of the two questions. estimate: from all seeds. approximate: B by what stands in its place.

    p: of each claim, [4], over the looks so far. adjusted: for all comparisons of its family too, [4]. NaN without a
    verdict. other: of each claim, whether the second of the two was better at the look that p is of, [4]; with later
    seeds the mean may have changed sides. needed: with how many seeds it will be decided, about; None if none do, or
    it is.
    """

    estimate: Estimate
    p: np.ndarray
    other: np.ndarray
    adjusted: np.ndarray
    verdict: Verdict
    approximate: bool = False
    needed: int | None = None


def answer_a(differences: np.ndarray, margin: float, asked: Question, step: float = 0.0) -> Answer:
    """Before it is adjusted for other comparisons. differences: [K], by seed. step: see `paired`."""
    looks = looks_so_far(len(differences), asked.looks)
    return _answer(paired(differences, step), [paired(differences[:n], step) for n in looks], margin, asked)


def answer_b(
    differences: np.ndarray, graphs: GraphDifferences | None, test_to_train: float, margin: float, asked: Question
) -> Answer | None:
    """From single graphs; without them approximately where seeds split the same graphs anew, else not at all."""
    if graphs is not None:
        looks = looks_so_far(len(graphs.ends), asked.looks)
        estimates = [clustered(*graphs.first(n)) for n in looks]
        last = len(graphs.ends)
        whole = estimates[-1] if estimates and looks[-1] == last else clustered(*graphs.first(last))
        return _answer(whole, estimates, margin, asked)
    if not test_to_train:
        return None
    looks = looks_so_far(len(differences), asked.looks)
    estimates = [corrected(differences[:n], test_to_train) for n in looks]
    answer = _answer(corrected(differences, test_to_train), estimates, margin, asked)
    return replace(answer, approximate=True)


def decide_together(answers: Sequence[Answer], margins: Sequence[float], asked: Question) -> list[Answer]:
    """With verdicts, after p-values are adjusted for all of them: the answers to one question on a family."""
    if not answers:
        return []
    p = adjusted(np.array([answer.p for answer in answers]), asked.adjust)
    levels = level_left(p, asked.level, asked.adjust)
    return [_decided(a, own, m, levels, asked) for a, own, m in zip(answers, p, margins, strict=True)]


def verdict_at(answer: Answer, level: float) -> Verdict:
    """The verdict on one pair at a level of its own, by all looks so far: what decides whether it needs more seeds.

    level: where several comparisons are planned, divided by their number; no result of another takes it back.
    """
    return decide(answer.other, answer.p, level) if answer.verdict.judged else answer.verdict


def _answer(estimate: Estimate, at_looks: Sequence[Estimate], margin: float, asked: Question) -> Answer:
    """at_looks: of the looks so far; nothing is tested at one with too few seeds for a verdict."""
    nothing = np.full(len(Claim), math.nan)
    p, other = nothing, np.full(len(Claim), estimate.mean > 0)
    without = _no_verdict(estimate, asked)
    if not without:
        p = np.ones(len(Claim))
        if at_looks:
            tested = [p_values(e, margin) if e.seeds >= asked.fewest else nothing for e in at_looks]
            p, look = sequential(np.array(tested), asked.looks)
            other = np.array([e.mean > 0 for e in at_looks])[look]
    return Answer(estimate, p, other, nothing, without or Verdict(Finding.UNDECIDED))


def _no_verdict(estimate: Estimate, asked: Question) -> Verdict | None:
    """Why nothing can be concluded, whatever the difference; None if something can."""
    if estimate.seeds < asked.fewest:
        return Verdict(Finding.FEW_SEEDS)
    return None if estimate.known else Verdict(Finding.NO_VARIANCE)


def _decided(answer: Answer, p: np.ndarray, margin: float, levels: np.ndarray, asked: Question) -> Answer:
    if not answer.verdict.judged:
        return replace(answer, adjusted=p)
    verdict, needed = decide(answer.other, p, asked.level), None
    if not verdict.decided:
        needed = seeds_needed(answer.estimate, margin, levels, asked.power, asked.looks)
        if needed is None and answer.estimate.limit:
            verdict = Verdict(Finding.FEW_GRAPHS)
        elif needed is None or needed > asked.looks[-1]:
            verdict = replace(verdict, longer=needed)
        else:
            verdict = replace(verdict, more=needed - answer.estimate.seeds)
    return replace(answer, adjusted=p, verdict=verdict, needed=needed)
