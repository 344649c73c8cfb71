"""Comparisons of two cells, paired by seed, with a verdict on this data set (A) and on new graphs of its kind (B)."""

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
from rethinking.analysis.pairs import POOLING, Pair, Unpaired, find_pairs
from rethinking.analysis.questions import NO_POOLING, Question
from rethinking.analysis.single_graphs import GraphDifferences, GraphScores, graph_differences, graph_scores
from rethinking.analysis.tidy import Results
from rethinking.configuration.cell import PAPER
from rethinking.errors import UserError
from rethinking.tasks.task import Unit


@dataclass(frozen=True)
class Answer:
    """To one of the two questions. estimate: from all seeds. approximate: B by what stands in its place.

    p: of each claim, [4], over the looks so far. adjusted: for all comparisons of its family too, [4]. NaN without a
    verdict. needed: with how many seeds it will be decided, about; None if none do, or it is.
    """

    estimate: Estimate
    p: np.ndarray
    adjusted: np.ndarray
    verdict: Verdict
    approximate: bool = False
    needed: int | None = None


@dataclass(frozen=True)
class Comparison:
    """`other` minus `local`, in the metric's unit of the tables; positive where other is better, for errors too.

    family, variant, reference, settings, sides: see `Pair`. fidelity, dataset, title: what both are of.
    older: whether the runs are of schema 1. seeds, a, b: common seeds, and the scores of other and local by these.
    margin: differences within it do not matter.
    answer_a: on this data set. answer_b: on new graphs of the same kind; None where that cannot be said.
    """

    fidelity: str
    dataset: str
    title: str
    family: str
    variant: str
    reference: str
    settings: str
    sides: tuple[str, str]
    metric: str
    unit: Unit
    higher_is_better: bool
    local: str
    other: str
    older: bool
    seeds: np.ndarray
    a: np.ndarray
    b: np.ndarray
    margin: float
    answer_a: Answer
    answer_b: Answer | None

    @property
    def differences(self) -> np.ndarray:
        """By how much `other` is better, by seed."""
        return self.a - self.b if self.higher_is_better else self.b - self.a

    @property
    def verdict(self) -> Verdict:
        """On this data set."""
        return self.answer_a.verdict

    @property
    def judged(self) -> bool:
        """Whether there are seeds and variance enough for a verdict, be it `undecided`."""
        return self.verdict.judged

    def words(self, answer: Answer) -> str:
        """An answer's verdict."""
        return answer.verdict.words(self.sides, self.unit.amount(self.margin))


def compare(
    results: Results, asked: Question, fidelity: str = PAPER, datasets: Sequence[str] = (), families: Sequence[str] = ()
) -> tuple[list[Comparison], list[str]]:
    """All comparisons that the runs allow, of some data sets and families or of all but those left out.

    What is chosen changes no verdict: p-values are adjusted for all comparisons that there are. Also returns sentences
    on what could not be compared. Raises UserError if nothing can.
    """
    everything, unpaired = _kept(results, asked)

    def wanted(dataset: str, family: str, of: str) -> bool:
        chosen = dataset in datasets if datasets else dataset not in asked.left_out
        return chosen and of == fidelity and (not families or family in families)

    made = [c for c in everything if wanted(c.dataset, c.family, c.fidelity)]
    said = dict.fromkeys(
        u.text for u in unpaired if wanted(u.cell.dataset, u.cell.config["family"], u.cell.config["fidelity"])
    )
    if not made:
        chosen = " and ".join(filter(None, [", ".join(datasets), ", ".join(families)]))
        what = f"a family's {asked.reference} variant and a non-local one", "pooling=learned,complement"
        if asked.reference == NO_POOLING:
            what = f"a model that pools and one of {', '.join(asked.without_pooling)}", "pooling=learned"
        raise UserError(
            f"There is nothing to compare{' of ' + chosen if chosen else ''} with fidelity={fidelity}: it takes "
            f"{what[0]} on the same data set, such as `rethinking run -m model=graclus {what[1]} dataset=nci1`."
            + ("" if datasets else f" Only if named with --dataset: {', '.join(asked.left_out)}.")
            + "".join(f" {text}" for text in said)
        )
    return made, list(said)


def compare_named(results: Results, asked: Question, pairs: Sequence[Pair]) -> list[Comparison]:
    """Comparisons of two cells that somebody chose: those of the standing family, or together with it."""
    standing, _ = _kept(results, asked)
    known = {(c.local, c.other) for c in standing}
    scores: dict[str, GraphScores | None] = {}
    added = [c for p in pairs if (c := _compared(results, p, asked, scores)) is not None]
    new = [c for c in added if (c.local, c.other) not in known]
    both = _with_verdicts([*standing, *new], asked)
    chosen = [c for c in both if (c.local, c.other) in {(p.local.id, p.other.id) for p in pairs}]
    if not chosen:
        raise UserError(f"The two have no seed in common on {', '.join(p.other.title for p in pairs)}.")
    return chosen


def verdict_at(differences: np.ndarray, margin: float, asked: Question, level: float, step: float = 0.0) -> Verdict:
    """The verdict A on one pair at a level of its own, by all looks so far: what decides whether it needs more seeds.

    differences: [K], by how much the non-local variant is better with each seed, in the unit of the margin. level:
    where several pairs are planned, divided by their number; no later result of another pair takes a verdict back.
    """
    estimate = paired(differences, step)
    without = _no_verdict(estimate, asked)
    if without:
        return without
    return decide(estimate.mean, sequential(_looks_a(differences, margin, asked, step), asked.looks), level)


def _kept(results: Results, asked: Question) -> tuple[list[Comparison], list[Unpaired]]:
    """All comparisons of a store with their verdicts; made once for each question."""
    key = repr(asked)
    if key not in results.kept:
        pairs, unpaired = find_pairs(results, asked)
        scores: dict[str, GraphScores | None] = {}
        made = [c for pair in pairs if (c := _compared(results, pair, asked, scores)) is not None]
        results.kept[key] = _with_verdicts(made, asked), unpaired
    return results.kept[key]


def _compared(results: Results, pair: Pair, asked: Question, known: dict[str, GraphScores | None]) -> Comparison | None:
    """The comparison with its estimates and p-values, before they are adjusted; None if there is no common seed."""
    local, other = pair.local, pair.other
    measure, scale = other.measure, other.measure.unit.scale
    a, b = (scale * results.scores(cell.id, measure.metric) for cell in (other, local))
    seeds = a.index.intersection(b.index)
    if seeds.empty:
        return None
    # The stricter one, should the two have been trained with different margins.
    margin = scale * asked.margins.get(measure.metric, min(measure.margin, local.measure.margin))
    sign = 1 if measure.higher_is_better else -1
    differences = sign * (a[seeds] - b[seeds]).to_numpy(dtype=float)
    for cell in (other, local):
        if cell.id not in known:
            known[cell.id] = graph_scores(results, cell)
    first, second = known[other.id], known[local.id]
    graphs, step = None, 0.0
    if first is not None and second is not None:
        graphs = graph_differences(first, second, list(map(int, seeds)), sign * scale)
        if graphs is not None and first.counts and second.counts:
            step = scale * len(graphs.ends) / len(graphs.difference)
    answer_a = _answer_a(differences, margin, asked, step)
    answer_b = _answer_b(differences, graphs, other.test_to_train, margin, asked)
    if answer_b is not None and not answer_a.verdict.judged:
        answer_b = replace(answer_b, p=answer_a.p, verdict=answer_a.verdict)
    return Comparison(
        fidelity=other.config["fidelity"],
        dataset=other.dataset,
        title=other.title,
        family=pair.family,
        variant=pair.variant,
        reference=pair.reference,
        settings=pair.settings,
        sides=pair.sides,
        metric=measure.metric,
        unit=measure.unit,
        higher_is_better=measure.higher_is_better,
        local=local.id,
        other=other.id,
        older=other.older,
        seeds=seeds.to_numpy(),
        a=a[seeds].to_numpy(dtype=float),
        b=b[seeds].to_numpy(dtype=float),
        margin=margin,
        answer_a=answer_a,
        answer_b=answer_b,
    )


def _answer_a(differences: np.ndarray, margin: float, asked: Question, step: float) -> Answer:
    return _answer(paired(differences, step), _looks_a(differences, margin, asked, step), asked)


def _looks_a(differences: np.ndarray, margin: float, asked: Question, step: float) -> np.ndarray:
    """p-values at each look so far, [looks, 4]."""
    looks = looks_so_far(len(differences), asked.looks)
    return _at_looks([paired(differences[:n], step) for n in looks], margin, asked)


def _answer_b(
    differences: np.ndarray, graphs: GraphDifferences | None, test_to_train: float, margin: float, asked: Question
) -> Answer | None:
    """From single graphs; without them approximately where seeds split the same graphs anew, else not at all."""
    if graphs is not None:
        looks = looks_so_far(len(graphs.ends), asked.looks)
        estimates = [clustered(*graphs.first(n)) for n in looks]
        last = len(graphs.ends)
        whole = estimates[-1] if estimates and looks[-1] == last else clustered(*graphs.first(last))
        return _answer(whole, _at_looks(estimates, margin, asked), asked)
    if not test_to_train:
        return None
    looks = looks_so_far(len(differences), asked.looks)
    estimates = [corrected(differences[:n], test_to_train) for n in looks]
    answer = _answer(corrected(differences, test_to_train), _at_looks(estimates, margin, asked), asked)
    return replace(answer, approximate=True)


def _at_looks(estimates: Sequence[Estimate], margin: float, asked: Question) -> np.ndarray:
    """[looks, 4]; nothing is tested at a look with too few seeds for a verdict."""
    p = [p_values(e, margin) if e.seeds >= asked.fewest else np.full(len(Claim), math.nan) for e in estimates]
    return np.array(p).reshape(-1, len(Claim))


def _answer(estimate: Estimate, p_at_looks: np.ndarray, asked: Question) -> Answer:
    without = _no_verdict(estimate, asked)
    nothing = np.full(len(Claim), math.nan)
    p = nothing if without else sequential(p_at_looks, asked.looks)
    return Answer(estimate, p, nothing, without or Verdict(Finding.UNDECIDED))


def _no_verdict(estimate: Estimate, asked: Question) -> Verdict | None:
    """Why nothing can be concluded, whatever the difference; None if something can."""
    if estimate.seeds < asked.fewest:
        return Verdict(Finding.FEW_SEEDS)
    return None if estimate.known else Verdict(Finding.NO_VARIANCE)


def _with_verdicts(made: Sequence[Comparison], asked: Question) -> list[Comparison]:
    """With p-values adjusted for all of a family that can be judged.

    A family answers one question: each model without pooling asks one, and data sets that are left out, whose answer
    is known or that are examples, are apart. Two named cells join the comparisons of local with non-local pooling.
    """
    result = list(made)
    keys = [(c.reference if c.sides == POOLING else "", c.dataset in asked.left_out) for c in made]
    for key in dict.fromkeys(keys):
        members = [place for place, own in enumerate(keys) if own == key]
        firsts = _adjusted([made[m].answer_a for m in members], [made[m].margin for m in members], asked)
        with_b = [m for m in members if made[m].answer_b is not None]
        seconds = _adjusted(
            [b for m in with_b if (b := made[m].answer_b) is not None], [made[m].margin for m in with_b], asked
        )
        for place, answer in zip(members, firsts, strict=True):
            result[place] = replace(result[place], answer_a=answer)
        for place, answer in zip(with_b, seconds, strict=True):
            result[place] = replace(result[place], answer_b=answer)
    return result


def _adjusted(answers: Sequence[Answer], margins: Sequence[float], asked: Question) -> list[Answer]:
    if not answers:
        return []
    p = adjusted(np.array([answer.p for answer in answers]), asked.adjust)
    levels = level_left(p, asked.level, asked.adjust)
    return [_decided(a, own, m, levels, asked) for a, own, m in zip(answers, p, margins, strict=True)]


def _decided(answer: Answer, p: np.ndarray, margin: float, levels: np.ndarray, asked: Question) -> Answer:
    if not answer.verdict.judged:
        return replace(answer, adjusted=p)
    verdict, needed = decide(answer.estimate.mean, p, asked.level), None
    if not verdict.decided:
        needed = seeds_needed(answer.estimate, margin, levels, asked.power, asked.looks)
        more = None if needed is None else needed - answer.estimate.seeds
        verdict = Verdict(Finding.FEW_GRAPHS) if more is None else replace(verdict, more=more)
    return replace(answer, adjusted=p, verdict=verdict, needed=needed)
