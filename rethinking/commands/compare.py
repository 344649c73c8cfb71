"""`rethinking compare`: does local pooling matter here? Paired differences, intervals, verdicts."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import ascii_lowercase

import pandas as pd
from rich.console import Console

from rethinking.analysis.comparisons import Comparison, compare, frame, question
from rethinking.analysis.render import on_screen, render
from rethinking.analysis.tidy import Results, read_some
from rethinking.analysis.wording import in_words, method, row_texts
from rethinking.commands.left_out import tell
from rethinking.errors import UserError
from rethinking.runs.store import RunStore

TITLE = "Local against non-local pooling"
CHECKS = "Wilcoxon's test and bootstrap intervals: --format csv."


def compare_runs(
    runs: Path,
    results: Path,
    form: str,
    fidelity: str,
    datasets: Sequence[str],
    families: Sequence[str],
    margins: Sequence[str],
    reference: str,
) -> int:
    """Print all comparisons that the runs allow. Returns the exit status."""
    everything = read_some(RunStore(runs), results)
    cells = everything.cells.values()
    _known("--reference", "variant", [reference], (cell.config["variant"] for cell in cells))
    _known("--dataset", "data set", datasets, (cell.dataset for cell in cells))
    _known("--family", "family", families, (cell.config["family"] for cell in cells))
    asked = question(margins=_margins(margins, everything), reference=reference)
    try:
        made, unpaired = compare(everything, asked, fidelity, datasets, families)
    except UserError as error:
        raise UserError(" ".join([str(error), *everything.left_out])) from error
    if form == "csv":
        print(frame(made).to_csv(index=False, float_format="%.6g"), end="")
        tell(everything.left_out)
        return 0
    shown, settings = texts(made, asked.seeds)
    notes = [
        in_words(made, asked),
        *unpaired,
        *settings,
        f"{method(asked)} {CHECKS}",
        f"From {'; '.join(everything.sources)}.",
        *everything.left_out,
    ]
    if form == "screen":
        on_screen(Console(highlight=False, markup=False), shown, TITLE, notes, keys=3)
    else:
        print(render(shown, form, TITLE, notes), end="")
    return 0


def texts(comparisons: Sequence[Comparison], seeds: int) -> tuple[pd.DataFrame, list[str]]:
    """A row a comparison, as one reads it, and what the letters beside families stand for."""
    known = dict.fromkeys(c.settings for c in comparisons if c.settings)
    letters = dict(zip(known, ascii_lowercase, strict=False))
    rows = []
    for c in comparisons:
        family = f"{c.family} {letters.get(c.settings, c.settings)}".strip()
        rows.append(row_texts(c, seeds) | {"family": family})
    return pd.DataFrame(rows), [f"{letter}: {text}" for text, letter in letters.items()]


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
