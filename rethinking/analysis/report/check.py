"""The page of a check: what was found of an operator, against what, and how it was run."""

from collections.abc import Sequence
from dataclasses import replace

from rethinking.analysis.checks import SIDES, TOGETHER, answers, check_settings, texts
from rethinking.analysis.comparisons import Comparison
from rethinking.analysis.figures import style
from rethinking.analysis.figures.verdicts import against_controls
from rethinking.analysis.questions import Question
from rethinking.analysis.report import evidence, render_page
from rethinking.analysis.report.answers import VERDICTS, looks_of
from rethinking.analysis.report.page import NARROW, WIDE, Section, page_picture, page_table
from rethinking.analysis.report.scorecard import scorecard_sections
from rethinking.analysis.scorecards import Scored
from rethinking.analysis.tidy import Results
from rethinking.analysis.wording import method

INTRODUCTION = (
    "A pooling operator was trained inside a plain network, and in its place, on the same seeds, splits, initial "
    "weights and batches, controls that each lack one thing that it has. If it works by putting the right nodes "
    "together, it is better than its own clusters made of other nodes (shuffled), than random ones, than those of "
    "the complement graphs. If pooling is worth anything here, it is better than no pooling layer, and than the "
    "mean over all nodes. A positive difference says that the control is better; what is smaller than the margin "
    "does not matter."
)


def check_page(
    made: Sequence[Comparison],
    results: Results,
    asked: Question,
    scored: Scored | None = None,
    said: Sequence[str] = (),
) -> str:
    """made: the comparisons of operators with their controls. results: of their runs. scored: their scorecards.

    said: sentences on operators and controls that are left out.
    """
    operators = list(dict.fromkeys(c.family for c in made))
    controls = dict.fromkeys(c.variant for c in made)
    with style():
        pictures = [page_picture(against_controls(made, asked, n), NARROW if n else WIDE) for n in (False, True)]
    words = [f"{name}: {text}." for name, text in check_settings().meanings.items() if name in controls]
    cells = {id for c in made for id in (c.local, c.other)}
    runs = results.runs[results.runs["cell_id"].isin(cells)]
    table = page_table(
        "Each control against its operator", texts(made, asked), leads=("control", *VERDICTS), looks=looks_of(made)
    )
    how = method(made, asked, SIDES, TOGETHER)
    sections = [
        Section("verdict", "Against its controls", words, [table], pictures, [how, *said]),
        *(scorecard_sections(scored) if scored else []),
        evidence.clusters(runs),
        evidence.runs(results, runs),
    ]
    heading = f"Does {operators[0]} matter?" if len(operators) == 1 else "Do these pooling operators matter?"
    shown = replace(results, sources=[f"{runs['run_id'].nunique()} runs in {results.store.folder}/"])
    return render_page(heading, answers(made, asked), INTRODUCTION, sections, asked, shown)
