"""The leaderboard: pooling operators, each beside its own twins and no pooling, on every data set of a suite."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from rethinking.analysis.checks import (
    SIDES,
    Checked,
    check_settings,
    comparisons_of,
    operator_note,
    operator_title,
    with_meaning,
)
from rethinking.analysis.comparisons import Comparison
from rethinking.analysis.inference.verdicts import Finding
from rethinking.analysis.overall import MARGINS, Overall, of_one_data_set, overall
from rethinking.analysis.questions import Question, question
from rethinking.analysis.suites import Suite, load_suite, suite_names
from rethinking.analysis.tidy import Results
from rethinking.analysis.wording import by_how_much, judged_how
from rethinking.configuration.cell import PAPER
from rethinking.configuration.composition import compose_cell

NOT_TRAINED = "—"
MEAN = "mean of all"


@dataclass(frozen=True)
class Leaderboard:
    """A suite's comparisons, all tested together. comparisons: control minus operator; `family` is the operator.

    controls: variants, in the order in which they are shown.
    """

    suite: Suite
    asked: Question
    comparisons: list[Comparison]
    controls: list[str]


def leaderboards() -> list[str]:
    """The suites that have operators."""
    return [name for name in suite_names() if load_suite(name).operators]


def leaderboard(suite: Suite, results: Results, fidelity: str = PAPER) -> Leaderboard:
    """What the runs allow to compare of a suite with operators."""
    asked = question()
    checked: list[Checked] = []
    controls: dict[str, None] = {}
    for dataset in suite.columns:
        cells = {
            row: compose_cell([*words, f"dataset={dataset}", f"fidelity={fidelity}"])
            for row, words in suite.rows.items()
            if words is not None
        }
        known = {row: results.cell_with_runs(cell) for row, cell in cells.items()}
        for twin, own in suite.compare:
            control = cells[twin].variant
            controls[control] = None
            if (own_id := known[own]) is not None and (twin_id := known[twin]) is not None:
                checked.append(Checked(own, control, "", own_id, twin_id))
    return Leaderboard(suite, asked, comparisons_of(results, asked, checked), list(controls))


def summary(board: Leaderboard) -> str:
    """The answer in one sentence: how many operators beat which control, and where; how many are decided, and how."""
    made = board.comparisons
    if not made:
        return (
            f"Nothing can be compared yet: no operator has runs beside a twin of it; `rethinking run "
            f"suite={board.suite.name}` trains them."
        )
    operators, names = (list(dict.fromkeys(names)) for names in ([c.family for c in made], [c.dataset for c in made]))
    titles = [title for name, title in board.suite.columns.items() if name in names]
    against_each = [_won(control, against) for control in _shown(board) if (against := _against(board, control))]
    kinds = {
        "the operator is better": sum(map(operator_better, made)),
        "the control is better": sum(map(control_better, made)),
        "it does not matter": sum(c.verdict.finding == Finding.EQUIVALENT for c in made),
        "the operator is not needed": sum(c.verdict.finding == Finding.NOT_WORSE for c in made),
    }
    decided = ", ".join(f"{count} × {words}" for words, count in kinds.items() if count)
    count = f"{len(operators)} pooling operator{'' if len(operators) == 1 else 's'}"
    return (
        f"Of {count} on {', '.join(titles)}: {'; '.join(against_each)}. Decided one by one: "
        f"{sum(kinds.values())} of {len(made)} comparisons{decided and f' ({decided})'}. {_on_average(board)} "
        f"{_apart(board, titles)}"
    ).strip()


def _won(control: str, against: Sequence[Comparison]) -> str:
    """How many operators beat a control, and where."""
    won = [c for c in against if operator_better(c)]
    where = f": {', '.join(f'{c.family} on {c.title}' for c in won)}" if won else ""
    counts = len({c.family for c in won}), len({c.family for c in against})
    return f"{counts[0]} of {counts[1]} beat {with_meaning(control)}{where}"


def _on_average(board: Leaderboard) -> str:
    """What changes where controls replace operators; nothing where there is only one operator."""
    pooled = {control: answer for control in _shown(board) if (answer := average(board, control))}
    if not pooled:
        return ""
    # Controls may be there on other data sets than others, whose metrics have other units.
    units: dict[str, list[str]] = {}
    for control, answer in pooled.items():
        what = "points" if answer.unit.in_points else "margins" if answer.unit is MARGINS else answer.unit.name
        units.setdefault(what, []).append(f"{control} {_interval(answer, board)}")
    texts = "; ".join(f"in {what}: {', '.join(texts)}" for what, texts in units.items())
    return f"On average over operators, by how much the control is better, {texts}."


def _apart(board: Leaderboard, titles: Sequence[str]) -> str:
    """On which of several data sets operators on average differ from a control, and by how much."""
    columns = board.suite.columns.items()
    means = {(control, *column): average(board, control, column[0]) for control in _shown(board) for column in columns}
    texts = [
        f"{control} {_interval(answer, board)} on {title}"
        for (control, _, title), answer in means.items()
        if answer and answer.pooled and not _has_zero(answer.pooled.interval(board.asked.confidence))
    ]
    if len(titles) < 2 or not texts:
        return ""
    return f"Means of one data set that are apart from zero, each by its own interval: {', '.join(texts)}."


def _has_zero(interval: tuple[float, float]) -> bool:
    return interval[0] <= 0 <= interval[1]


def average(board: Leaderboard, control: str, dataset: str | None = None) -> Overall | None:
    """Control minus operator, over all operators; None of fewer than two. dataset: on this one only."""
    against = [c for c in _against(board, control) if dataset in (None, c.dataset)]
    if len({c.family for c in against if c.judged}) < 2:
        return None
    return overall(against, board.asked, control, of_one_data_set)


def _against(board: Leaderboard, control: str) -> list[Comparison]:
    return [c for c in board.comparisons if c.variant == control]


def _interval(answer: Overall, board: Leaderboard) -> str:
    """Control minus operator, with its interval."""
    assert answer.pooled is not None
    return answer.unit.interval(answer.pooled.mean, *answer.pooled.interval(board.asked.confidence))


def leaderboard_texts(board: Leaderboard) -> pd.DataFrame:
    """A row for each operator and data set of which there is a comparison, a column a control.

    Numbers are control minus operator with interval and verdict. Below the operators of a data set stands their mean.
    """
    found = {(c.family, c.dataset, c.variant): c for c in board.comparisons}
    controls = _shown(board)
    rows = []
    for dataset, title in board.suite.columns.items():
        for operator in board.suite.operators:
            own = {control: found.get((operator, dataset, control)) for control in controls}
            if any(own.values()):
                texts = {control: _text(c, board.asked) if c else NOT_TRAINED for control, c in own.items()}
                rows.append({"data set": title, "pooler": operator_title(operator), "source": operator, **texts})
        means = {control: average(board, control, dataset) for control in controls}
        if any(means.values()):
            texts = {control: _mean_text(mean, board) if mean else NOT_TRAINED for control, mean in means.items()}
            rows.append({"data set": title, "pooler": MEAN, "source": "", **texts})
    return pd.DataFrame(rows, columns=["data set", "pooler", "source", *controls])


def leaderboard_notes(board: Leaderboard) -> list[str]:
    """How the table is read."""
    if not board.comparisons:
        return []
    conf = check_settings()
    shown = _shown(board)
    meanings = "; ".join(f"{control}: {conf.meanings[control]}" for control in shown if control in conf.meanings)
    return [
        f"{by_how_much(board.asked, *SIDES)} Below it the verdict on this data set, and how many seeds were "
        f"trained. {MEAN}: over the operators of a data set, but those whose difference is the same in every seed; as "
        "they share seeds, by seed. In the sentence on top an operator beats a control if it does on any data set. "
        f"{meanings}. "
        f"{NOT_TRAINED}: not trained, or not to be had of an operator that does not say which nodes its clusters are "
        "made of. Source: the file of conf/pooler, which names library, paper and parameters.",
        *(conf.notes[control] for control in shown if control in conf.notes),
        *(f"{', '.join(names)}: {note}." for note, names in _notes_of_operators(board).items()),
        judged_how(board.comparisons, board.asked, "all comparisons of this table"),
    ]


def _notes_of_operators(board: Leaderboard) -> dict[str, list[str]]:
    """Of those that are shown: which have the same note."""
    found: dict[str, list[str]] = {}
    there = {c.family for c in board.comparisons}
    for operator in board.suite.operators:
        if operator in there and (note := operator_note(operator)):
            found.setdefault(note, []).append(operator)
    return found


def operator_better(c: Comparison) -> bool:
    """Whether that is decided on this data set."""
    return c.verdict.finding in (Finding.RELEVANT, Finding.DIFFERENT) and not c.verdict.other


def control_better(c: Comparison) -> bool:
    """Whether that is decided on this data set."""
    return c.verdict.finding in (Finding.RELEVANT, Finding.DIFFERENT) and c.verdict.other


def _text(c: Comparison, asked: Question) -> str:
    a = c.answer_a.estimate
    return f"{c.unit.interval(a.mean, *a.interval(asked.confidence))}\n{c.words(c.answer_a)}; {len(c.seeds)} trained"


def _mean_text(answer: Overall, board: Leaderboard) -> str:
    assert answer.pooled is not None
    return f"{_interval(answer, board)}\n{answer.pooled.comparisons} operators"


def _shown(board: Leaderboard) -> list[str]:
    """The controls of which there are comparisons."""
    return [control for control in board.controls if _against(board, control)]
