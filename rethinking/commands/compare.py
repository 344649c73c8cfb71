"""`rethinking compare`: does local pooling matter here? One sentence, pooled answers, and a verdict on each pair."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import ascii_lowercase

import pandas as pd
from rich.console import Console

from rethinking.analysis.comparisons import Comparison, compare, compare_named
from rethinking.analysis.long_comparisons import csv
from rethinking.analysis.named import named_pairs
from rethinking.analysis.overall import by_data_set, overall
from rethinking.analysis.pairs import POOLING
from rethinking.analysis.questions import NO_POOLING, Question, changes, question
from rethinking.analysis.render import on_screen, prose, render
from rethinking.analysis.tidy import Results, read_some
from rethinking.analysis.wording import method, new_cell, overall_texts, row_texts, sentence
from rethinking.commands.left_out import tell
from rethinking.errors import UserError
from rethinking.runs.store import RunStore

TITLES = {True: "Is pooling needed at all?", False: "Local against non-local pooling"}
POOLED = "Each data set by itself"
# What two named cells are tested with.
NAMED = (
    "what is compared here and all comparisons of local with non-local pooling that there are (on a data set that is "
    "left out unless named, those on it)"
)
REFERENCE = "compare.reference="
NOT_NAMED = (
    f"Two cells that are named are compared with each other and with nothing else: --dataset, --family and {REFERENCE} "
    "do not go with them; write dataset=nci1 beside the two for one data set."
)
CHECKS = "p-values, Wilcoxon's test and bootstrap intervals: --format csv."


def compare_runs(
    words: Sequence[str],
    runs: Path,
    results: Path,
    form: str,
    fidelity: str,
    datasets: Sequence[str],
    families: Sequence[str],
    margins: Sequence[str],
) -> int:
    """Print all comparisons that the runs allow, or those of two named cells. Returns the exit status."""
    everything = read_some(RunStore(runs), results)
    cells = everything.cells.values()
    _known("--dataset", "data set", datasets, (cell.dataset for cell in cells))
    _known("--family", "family", families, (cell.config["family"] for cell in cells))
    settings = [word for word in words if word.startswith("compare.")]
    asked = question(**changes(settings), margins=_margins(margins, everything))
    if asked.reference != NO_POOLING:
        _known("compare.reference", "variant", [asked.reference], (cell.config["variant"] for cell in cells))
    try:
        others = [word for word in words if word not in settings]
        if others and (datasets or families or any(word.startswith(REFERENCE) for word in settings)):
            raise UserError(NOT_NAMED)
        named = _named(everything, others, asked, fidelity)
        made, unpaired = named or compare(everything, asked, fidelity, datasets, families)
    except UserError as error:
        raise UserError(" ".join([str(error), *everything.left_out])) from error
    if form == "csv":
        print(csv(made, asked), end="")
        tell(everything.left_out)
        return 0
    title = f"{made[0].sides[1]} against {made[0].sides[0]}" if named else TITLES[asked.reference == NO_POOLING]
    _print(title, made, unpaired, everything, asked, form, NAMED if named else "")
    return 0


def _print(
    title: str,
    made: Sequence[Comparison],
    unpaired: Sequence[str],
    results: Results,
    asked: Question,
    form: str,
    family: str,
) -> None:
    """The sentence, each data set, and the table; on a screen the other way round, as one sees its end first.

    family: what is tested together; empty for what usually is.
    """
    shown, settings = texts(made, asked)
    notes = [
        *settings,
        *unpaired,
        f"{method(made, asked, family=family)} {CHECKS}",
        f"From {'; '.join(results.sources)}.",
        *results.left_out,
    ]
    groups = dict.fromkeys(c.reference if c.sides == POOLING else "" for c in made)
    answers = [overall([c for c in made if not name or c.reference == name], asked, name) for name in groups]
    leads = [f"{a.title}: " if a.title else "" for a in answers]
    sentences = [lead + sentence(a, asked) for lead, a in zip(leads, answers, strict=True)]
    further = [lead + text for lead, a in zip(leads, answers, strict=True) if (text := new_cell(a, asked))]
    pooled = [overall_texts(by_data_set(a.comparisons, asked), asked) for a in answers]
    titles = [f"{POOLED}{f', against {a.title}' if a.title else ''}" for a in answers]
    if form == "screen":
        console = Console(highlight=False, markup=False)
        on_screen(console, shown, title, notes, keys=3)
        for name, table in zip(titles, pooled, strict=True):
            console.print()
            on_screen(console, table, name, [])
        for text in [*further, *sentences]:
            console.print(text)
        return
    print(prose([*sentences, *further], form))
    for name, table in zip(titles, pooled, strict=True):
        print(render(table, form, name, []))
    print(render(shown, form, title, notes), end="")


def texts(comparisons: Sequence[Comparison], asked: Question) -> tuple[pd.DataFrame, list[str]]:
    """A row a comparison, as one reads it, and what the letters beside families stand for."""
    known = dict.fromkeys(c.settings for c in comparisons if c.settings)
    letters = dict(zip(known, ascii_lowercase, strict=False))
    rows = []
    for c in comparisons:
        family = f"{c.family} {letters.get(c.settings, c.settings)}".strip()
        rows.append(row_texts(c, asked) | {"family": family})
    return pd.DataFrame(rows), [f"{letter}: {text}" for text, letter in letters.items()]


def _named(
    results: Results, words: Sequence[str], asked: Question, fidelity: str
) -> tuple[list[Comparison], list[str]] | None:
    """The comparison of two cells that are named; None if none are."""
    cells = [word.split() for word in words if any(part.startswith("model=") for part in word.split())]
    common = [word for word in words if word.split() not in cells]
    if not words:
        return None
    if len(cells) != 2:
        raise UserError(
            f"{' '.join(words)} is not understood; expected two cells, each in quotes, and what both have in common: "
            "'model=graclus pooling=complement' 'model=global_mean pooling=none' dataset=nci1."
        )
    first, second = cells
    pairs, said = named_pairs(results, first, second, common, fidelity)
    if not pairs:
        raise UserError(" ".join(u.text for u in said))
    return compare_named(results, asked, pairs), [u.text for u in said]


def _known(option: str, what: str, names: Sequence[str], of_runs: Iterable[str]) -> None:
    """Raises UserError for a name of which there are no runs."""
    there = sorted(set(of_runs))
    for name in names:
        if there and name not in there:
            raise UserError(f"{option} {name}: there are no runs of this {what}, but of {', '.join(there)}.")


def _margins(given: Sequence[str], results: Results) -> dict[str, float]:
    """Margins as typed, `accuracy=0.02`."""
    known = sorted({cell.measure.metric for cell in results.cells.values()})
    margins = {}
    for text in given:
        metric, _, value = text.partition("=")
        try:
            margins[metric] = float(value)
        except ValueError:
            metric = ""
        if metric not in known or not 0 < margins[metric] < math.inf:
            names = ", ".join(known)
            raise UserError(f"--margin {text} is not understood; expected METRIC=VALUE, a value above 0, with {names}.")
    return margins
