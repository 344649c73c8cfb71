"""Comparisons of two cells, paired by seed, with a verdict on this data set (A) and on new graphs of its kind (B)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rethinking.analysis.answers import Answer, answer_a, answer_b, decide_together
from rethinking.analysis.inference.verdicts import Verdict
from rethinking.analysis.pairs import POOLING, Pair, Unpaired, find_pairs
from rethinking.analysis.questions import NO_POOLING, Question
from rethinking.analysis.single_graphs import counted_graphs, graph_differences, graph_scores
from rethinking.analysis.tidy import Results
from rethinking.configuration.cell import PAPER
from rethinking.errors import UserError
from rethinking.tasks.task import Unit


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

    def words(self, answer: Answer, amount: str = "") -> str:
        """An answer's verdict. amount: what to call the margin, `a margin`; empty for how much it is."""
        return answer.verdict.words(self.sides, amount or self.unit.amount(self.margin))


def compare(
    results: Results, asked: Question, fidelity: str = PAPER, datasets: Sequence[str] = (), families: Sequence[str] = ()
) -> tuple[list[Comparison], list[str]]:
    """All comparisons that the runs allow, of some data sets and families or of all but those left out.

    What is chosen changes no verdict: p-values are adjusted for all comparisons that there are. Also returns sentences
    on what could not be compared. Raises UserError if nothing can.
    """
    everything, unpaired = all_comparisons(results, asked)

    def wanted(dataset: str, family: str, of: str) -> bool:
        chosen = dataset in datasets if datasets else dataset not in asked.left_out
        return chosen and of == fidelity and (not families or family in families)

    made = [c for c in everything if wanted(c.dataset, c.family, c.fidelity)]
    said = _sentences(
        [u for u in unpaired if wanted(u.cell.dataset, u.cell.config["family"], u.cell.config["fidelity"])]
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
    return made, said


def _sentences(unpaired: Sequence[Unpaired]) -> list[str]:
    """Each once; of many for the same reason, one of all."""
    by_schema = dict.fromkeys(u.text for u in unpaired if u.schemas)
    others = list(dict.fromkeys(u.text for u in unpaired if not u.schemas))
    if len(by_schema) < 2:
        return [*others, *by_schema]
    titles = ", ".join(dict.fromkeys(u.cell.title for u in unpaired if u.schemas))
    return [
        *others,
        f"{len(by_schema)} comparisons on {titles} are left out while the runs of one of the two are of schema 1, of "
        "an earlier version: `rethinking run` trains them anew.",
    ]


def compare_named(results: Results, asked: Question, pairs: Sequence[Pair]) -> list[Comparison]:
    """Comparisons of two cells that somebody chose: those of the standing family, or together with it."""
    standing, _ = all_comparisons(results, asked)
    known = {(c.local, c.other) for c in standing}
    added = [c for p in pairs if (c := _on_this_data(results, p, asked)) is not None]
    new = [c for c in added if (c.local, c.other) not in known]
    # The same two in the other order are the same question, which would count twice.
    turned = {(c.other, c.local) for c in new}
    standing = [c for c in standing if (c.local, c.other) not in turned]
    both = _with_verdicts([*standing, *_with_new_graphs(results, new, asked)], asked)
    chosen = [c for c in both if (c.local, c.other) in {(p.local.id, p.other.id) for p in pairs}]
    if not chosen:
        raise UserError(f"The two have no seed in common on {', '.join(p.other.title for p in pairs)}.")
    return chosen


def compare_together(results: Results, asked: Question, pairs: Sequence[Pair]) -> list[Comparison]:
    """Comparisons of some pairs, which are tested together and with no others; none of a pair without a common seed.

    Together on all data sets, those that others leave out among them.
    """
    made = [c for p in pairs if (c := _on_this_data(results, p, asked)) is not None]
    return _with_verdicts(_with_new_graphs(results, made, asked), replace(asked, left_out=()))


def all_comparisons(results: Results, asked: Question) -> tuple[list[Comparison], list[Unpaired]]:
    """All comparisons of a store with their verdicts; made once for each question."""
    key = f"on new graphs: {asked}"
    if key not in results.kept:
        made, unpaired = on_this_data(results, asked)
        results.kept[key] = _with_verdicts(_with_new_graphs(results, made, asked), asked), unpaired
    return results.kept[key]


def on_this_data(results: Results, asked: Question) -> tuple[list[Comparison], list[Unpaired]]:
    """The same without `answer_b`, for which the predictions of all runs are read; in a tenth of the time."""
    key = f"on this data set: {asked}"
    if key not in results.kept:
        pairs, unpaired = find_pairs(results, asked)
        made = [c for pair in pairs if (c := _on_this_data(results, pair, asked)) is not None]
        results.kept[key] = _with_verdicts(made, asked), unpaired
    return results.kept[key]


def apart(dataset: str, asked: Question) -> str:
    """The data set, if it is a family of tests by itself; else empty."""
    return dataset if dataset in asked.left_out else ""


def _on_this_data(results: Results, pair: Pair, asked: Question) -> Comparison | None:
    """The comparison with its estimate and p-values, before they are adjusted; None if there is no common seed."""
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
    counted = counted_graphs(results, other, local, list(map(int, seeds)))
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
        answer_a=answer_a(differences, margin, asked, scale / counted if counted else 0.0),
        answer_b=None,
    )


def _with_new_graphs(results: Results, made: Sequence[Comparison], asked: Question) -> list[Comparison]:
    """With the second answer, from the predictions of all runs."""
    return [replace(c, answer_b=_on_new_graphs(results, c, asked)) for c in made]


def _on_new_graphs(results: Results, c: Comparison, asked: Question) -> Answer | None:
    """Before it is adjusted."""
    other, local = results.cells[c.other], results.cells[c.local]
    first, second = graph_scores(results, other), graph_scores(results, local)
    graphs = None
    if first is not None and second is not None:
        sign = 1 if c.higher_is_better else -1
        graphs = graph_differences(first, second, list(map(int, c.seeds)), sign * c.unit.scale)
    answer = answer_b(c.differences, graphs, other.test_to_train, c.margin, asked)
    if answer is not None and not c.judged:
        return replace(answer, p=c.answer_a.p, verdict=c.verdict)
    return answer


def _with_verdicts(made: Sequence[Comparison], asked: Question) -> list[Comparison]:
    """With p-values adjusted for all of a family that can be judged.

    A family answers one question: each model without pooling asks one. Each data set that is left out is a family by
    itself, as what is certain where the answer is known would ease the verdicts on others. Two named cells join the
    comparisons of local with non-local pooling.
    """
    result = list(made)
    keys = [(c.reference if c.sides == POOLING else "", apart(c.dataset, asked)) for c in made]
    for key in dict.fromkeys(keys):
        members = [place for place, own in enumerate(keys) if own == key]
        firsts = decide_together([made[m].answer_a for m in members], [made[m].margin for m in members], asked)
        with_b = [m for m in members if made[m].answer_b is not None]
        seconds = decide_together(
            [b for m in with_b if (b := made[m].answer_b) is not None], [made[m].margin for m in with_b], asked
        )
        for place, answer in zip(members, firsts, strict=True):
            result[place] = replace(result[place], answer_a=answer)
        for place, answer in zip(with_b, seconds, strict=True):
            result[place] = replace(result[place], answer_b=answer)
    return result
