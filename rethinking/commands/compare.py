"""`rethinking compare`: does local pooling matter here? Paired differences, intervals, verdicts."""

from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase

import pandas as pd
from rich.console import Console

from rethinking.analysis.comparisons import Comparison, compare, frame, in_words, question
from rethinking.analysis.render import on_screen, render
from rethinking.analysis.tidy import read_results
from rethinking.errors import UserError
from rethinking.runs.store import RunStore

TITLE = "Local against non-local pooling"
METHOD = (
    "Difference: non-local minus local, paired by seed, with its 95 % interval. Equivalent: two one-sided tests. "
    "Where every seed splits the same graphs anew (marked *), variances are corrected by Nadeau and Bengio (2003); "
    "otherwise the plain paired t. Within: the smallest margin at which the two would be equivalent. "
    "Needed: seeds to show it at the margin, if there is no difference (∞: none do). Wilcoxon's test and bootstrap "
    "intervals: --format csv."
)


def compare_runs(
    runs: Path,
    results: Path,
    form: str,
    fidelity: str,
    datasets: Sequence[str],
    families: Sequence[str],
    margins: Sequence[str],
) -> int:
    """Print all comparisons that the runs allow. Returns the exit status."""
    asked = question()
    asked = question(margin=dict(asked.margin) | _margins(margins, list(asked.margin)))
    everything = read_results(RunStore(runs), results)
    if everything.runs.empty:
        raise UserError(f"There are no finished runs in {runs}/ or {results}/; `rethinking run` trains some.")
    made = compare(everything, asked, fidelity, datasets, families)
    if form == "csv":
        print(frame(made).to_csv(index=False, float_format="%.6g"), end="")
        return 0
    shown, settings = texts(made, asked.seeds)
    method = METHOD.replace("95 %", f"{asked.confidence:.0%}")
    notes = [in_words(made, asked), *settings, method, f"From {'; '.join(everything.sources)}."]
    if form == "screen":
        on_screen(Console(highlight=False), shown, TITLE, notes, keys=3)
    else:
        print(render(shown, form, TITLE, notes), end="")
    return 0


def texts(comparisons: Sequence[Comparison], seeds: int) -> tuple[pd.DataFrame, list[str]]:
    """A row a comparison, as one reads it, and what the letters beside families stand for."""
    known = dict.fromkeys(c.settings for c in comparisons if c.settings)
    letters = dict(zip(known, ascii_lowercase, strict=False))
    rows = []
    for c in comparisons:
        d, digits = c.difference, c.unit.digits
        interval = f" [{d.low:+.{digits}f}, {d.high:+.{digits}f}]" if d.n > 1 else ""
        needed = "∞" if c.needed is None else str(c.needed)
        rows.append(
            {
                "data set": c.dataset,
                "family": f"{c.family} {letters.get(c.settings, c.settings)}".strip(),
                "variant": c.variant,
                "difference": f"{d.mean:+.{digits}f}{interval}{'*' if c.test_to_train else ''}",
                "verdict": c.verdict if d.n > 1 else "one seed only",
                "within": f"{c.within:.{digits}f}" if d.n > 1 else "—",
                "seeds": f"{d.n}" if d.n >= seeds else f"{d.n}/{seeds}",
                "needed": needed if d.n > 1 else "—",
            }
        )
    return pd.DataFrame(rows), [f"{letter}: {text}" for text, letter in letters.items()]


def _margins(given: Sequence[str], known: Sequence[str]) -> dict[str, float]:
    """Margins as typed, `accuracy=0.02`."""
    margins = {}
    for text in given:
        metric, _, value = text.partition("=")
        try:
            margins[metric] = float(value)
        except ValueError:
            metric = ""
        if metric not in known:
            raise UserError(f"--margin {text} is not understood; expected METRIC=VALUE, with {', '.join(known)}.")
    return margins
