"""What a check of a pooling operator finds: its comparisons with its controls, and the answer in words."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from rethinking.analysis.comparisons import Comparison, compare_together
from rethinking.analysis.inference.verdicts import Finding
from rethinking.analysis.pairs import Pair
from rethinking.analysis.questions import Question
from rethinking.analysis.tidy import Results
from rethinking.analysis.wording import row_texts

# What a control takes away, for whoever reads a verdict against it.
MEANINGS = {
    "shuffled": "its own clusters, of other nodes",
    "complement": "its clusters of the complement graphs",
    "random": "random clusters, drawn once",
    "none": "no pooling layer",
    "whole": "global pooling in its place",
    "shuffled_input": "its own pooling of permuted nodes",
}


@dataclass(frozen=True)
class Checked:
    """One operator on one data set, with one choice of settings, against one control: which cells these are.

    operator: what tables call it. settings: what was chosen for it, such as a ratio; empty if nothing was.
    """

    operator: str
    control: str
    settings: str
    own: str
    twin: str


def comparisons_of(results: Results, asked: Question, checked: Sequence[Checked]) -> list[Comparison]:
    """Control minus operator, as far as there are runs; all of them are tested together."""
    pairs = []
    for one in checked:
        own, twin = (results.cells.get(id) for id in (one.own, one.twin))
        if own is not None and twin is not None:
            pairs.append(
                Pair(own, twin, one.operator, one.control, one.operator, one.settings, (one.operator, one.control))
            )
    return compare_together(results, asked, pairs)


def texts(comparisons: Sequence[Comparison], asked: Question) -> pd.DataFrame:
    """A row a comparison, as one reads it."""
    rows = []
    for c in comparisons:
        row = row_texts(c, asked)
        row = {"operator": row.pop("family"), "control": row.pop("variant"), **row}
        rows.append(row | ({"settings": c.settings} if any(c.settings for c in comparisons) else {}))
    return pd.DataFrame(rows)


def answers(comparisons: Sequence[Comparison]) -> list[str]:
    """What was found of each operator against each of its controls: a sentence an operator."""
    by_operator: Mapping[str, dict[str, list[Comparison]]] = defaultdict(lambda: defaultdict(list))
    for c in comparisons:
        by_operator[c.family][c.variant].append(c)
    return [_answer(operator, by_control) for operator, by_control in by_operator.items()]


def _answer(operator: str, by_control: Mapping[str, Sequence[Comparison]]) -> str:
    parts = []
    for control, made in by_control.items():
        found: dict[str, list[str]] = defaultdict(list)
        for c in made:
            where = c.title + (f" with {c.settings}" if c.settings else "")
            found[_words(c)].append(where)
        said = "; ".join(f"{words} on {', '.join(places)}" for words, places in found.items())
        parts.append(f"against {control} ({MEANINGS.get(control, 'another Select')}) {said}")
    return f"{operator}: {'; '.join(parts)}."


def _words(c: Comparison) -> str:
    """What one comparison says of the operator."""
    verdict, amount = c.verdict, c.unit.amount(c.margin)
    side = "worse" if verdict.other else "better"
    return {
        Finding.EQUIVALENT: f"it does not matter (within {amount})",
        Finding.RELEVANT: f"{side} by more than {amount}",
        Finding.DIFFERENT: side,
        Finding.NOT_WORSE: f"not needed (helps by less than {amount})",
        Finding.UNDECIDED: "undecided",
    }.get(verdict.finding, c.words(c.answer_a))
