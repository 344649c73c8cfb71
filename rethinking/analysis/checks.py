"""What a check of a pooling operator finds: its comparisons with its controls, and the answer in words."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import pandas as pd

from rethinking import paths
from rethinking.analysis.comparisons import Comparison, compare_together
from rethinking.analysis.inference.verdicts import Finding
from rethinking.analysis.pairs import Pair
from rethinking.analysis.questions import Question
from rethinking.analysis.tidy import Results
from rethinking.analysis.wording import row_texts
from rethinking.configuration.together import group_file
from rethinking.own_files import own_file

# What the two of a comparison are called where there are several.
SIDES = ("operator", "control")
# What a check tests together.
TOGETHER = "all comparisons shown here"


@dataclass(frozen=True)
class CheckSettings:
    """`conf/check.yaml`. controls, black_box: variants. datasets: by default.

    meanings: of variants, in words. notes: what else is to be known of some, below a table that has them.
    """

    controls: Sequence[str]
    black_box: Sequence[str]
    meanings: Mapping[str, str]
    notes: Mapping[str, str]
    datasets: Sequence[str]


@cache
def check_settings() -> CheckSettings:
    """The file's."""
    return CheckSettings(**own_file("check"))


def operator_title(operator: str) -> str:
    """What an operator is called, of its file in `conf/pooler`."""
    file = group_file("pooler", operator, paths.configuration())
    return operator if file is None else str(file["title"])


def operator_note(operator: str) -> str | None:
    """What is to be known of it, of its file in `conf/pooler`; None if nothing is."""
    file = group_file("pooler", operator, paths.configuration())
    return None if file is None else file.get("note")


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
    """Control minus operator, as far as there are runs on the same graphs; all of them are tested together."""
    pairs = []
    for one in checked:
        own, twin = (results.cells.get(id) for id in (one.own, one.twin))
        if own is not None and twin is not None and own.fingerprint == twin.fingerprint:
            pairs.append(
                Pair(own, twin, one.operator, one.control, one.operator, one.settings, (one.operator, one.control))
            )
    return compare_together(results, asked, pairs)


def texts(comparisons: Sequence[Comparison], asked: Question) -> pd.DataFrame:
    """A row a comparison, as one reads it."""
    rows = []
    for c in comparisons:
        row = row_texts(c, asked)
        # As many as were asked for; tables of the paper want more.
        settings = {"settings": c.settings} if any(c.settings for c in comparisons) else {}
        keys = {"operator": row.pop("family"), "control": row.pop("variant"), "data set": row.pop("data set")}
        rows.append({**keys, **settings, **row, "seeds": str(len(c.seeds))})
    return pd.DataFrame(rows)


def answers(comparisons: Sequence[Comparison], asked: Question) -> list[str]:
    """What was found: a sentence for each operator on each data set, with each of its settings."""
    groups: Mapping[tuple[str, str, str], list[Comparison]] = defaultdict(list)
    for c in comparisons:
        groups[c.family, c.title, c.settings].append(c)
    return [
        f"{operator} on {title}{f' with {settings}' if settings else ''}: {_found(made, asked)}."
        for (operator, title, settings), made in groups.items()
    ]


def _found(made: Sequence[Comparison], asked: Question) -> str:
    """What is decided first, with what changes by each control, then what is not; controls of one verdict together."""
    said: Mapping[str, list[str]] = defaultdict(list)
    for c in sorted(made, key=lambda c: not c.verdict.decided):
        words, number = (_words(c), f" {_number(c, asked)}") if c.verdict.decided else (_open(c), "")
        said[words].append(f"{with_meaning(c.variant)}{number}")
    found = "; ".join(f"{words} {', '.join(controls)}" for words, controls in said.items())
    units = dict.fromkeys("points" if c.unit.in_points else c.unit.name for c in made if c.verdict.decided)
    return f"{found} (numbers: by how much the control is better, {' or '.join(units)})" if units else found


def with_meaning(control: str) -> str:
    """A control; one of somebody's own says by its name what it is."""
    meaning = check_settings().meanings.get(control)
    return f"{control} ({meaning})" if meaning else control


def _words(c: Comparison) -> str:
    """What a comparison that is decided says of the operator."""
    verdict, amount = c.verdict, c.unit.amount(c.margin)
    side = "worse" if verdict.other else "better"
    return {
        Finding.EQUIVALENT: f"no more than {amount} from",
        Finding.RELEVANT: f"{side} by more than {amount} than",
        Finding.DIFFERENT: f"{side} than",
        Finding.NOT_WORSE: f"not needed, as it helps by less than {amount}, against",
    }[verdict.finding]


def _open(c: Comparison) -> str:
    """Why one is not decided."""
    if c.verdict.finding == Finding.FEW_SEEDS:
        return "too few seeds against"
    if not c.differences.any():
        return "no verdict, as it scores the same in every seed, against"
    return "undecided against" if c.verdict.finding == Finding.UNDECIDED else "no verdict against"


def _number(c: Comparison, asked: Question) -> str:
    """By how much the control is better, as everywhere, with the interval."""
    a = c.answer_a.estimate
    return c.unit.interval(a.mean, *a.interval(asked.confidence))
