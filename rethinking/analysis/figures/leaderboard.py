"""The figure of the leaderboard: a matrix of verdicts, operators by data sets, a panel a control."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from rethinking.analysis.checks import operator_title
from rethinking.analysis.comparisons import Comparison
from rethinking.analysis.figures.colours import INK, Colour, verdict_look
from rethinking.analysis.figures.picture import Picture, nothing_to_draw, say_within
from rethinking.analysis.inference.verdicts import Finding, Verdict
from rethinking.analysis.leaderboard import MEAN, Leaderboard, average, leaderboard
from rethinking.analysis.suites import Suite
from rethinking.analysis.tidy import Results

# How much of a verdict's colour a field has, so that its number can be read.
DECIDED, UNDECIDED = 0.75, 0.25
KEYS = {
    "operator better": Verdict(Finding.DIFFERENT),
    "control better": Verdict(Finding.DIFFERENT, other=True),
    "does not matter": Verdict(Finding.EQUIVALENT),
    "operator not needed": Verdict(Finding.NOT_WORSE),
    "undecided": Verdict(Finding.UNDECIDED),
}


def leaderboard_matrix(suite: Suite, results: Results, fidelity: str) -> Picture:
    """Of each operator and data set the verdict against each control, as far as there are runs."""
    board = leaderboard(suite, results, fidelity)
    if not board.comparisons:
        raise nothing_to_draw(suite)
    found = {(c.family, c.dataset, c.variant): c for c in board.comparisons}
    operators = [name for name in suite.operators if any(name == operator for operator, _, _ in found)]
    columns = {name: title for name, title in suite.columns.items() if any(name == own for _, own, _ in found)}
    controls = [control for control in board.controls if any(control == own for _, _, own in found)]
    size = (1.9 + 0.62 * len(columns) * len(controls), 0.24 * len(operators) + 2.5)
    made = plt.figure(figsize=(max(size[0], 5), size[1]), layout="constrained")
    axes = made.subplots(1, len(controls), squeeze=False, sharey=True)[0]
    for axis, control in zip(axes, controls, strict=True):
        for row, operator in enumerate(operators):
            for column, name in enumerate(columns):
                if c := found.get((operator, name, control)):
                    _draw(axis, column, row, c)
        axis.axhline(len(operators) - 0.5, color=INK, lw=0.8)
        for column, name in enumerate(columns):
            if (mean := average(board, control, name)) and mean.pooled:
                _write(axis, column, len(operators), mean.unit.signed(mean.pooled.mean), "bold")
        axis.set_title(control, fontsize=9)
        axis.set_xticks(range(len(columns)), columns.values(), rotation=60, ha="right", fontsize=7)
        axis.set_xlim(-0.5, len(columns) - 0.5)
        axis.grid(visible=False)
    names = [*map(operator_title, operators), MEAN]
    axes[0].set_yticks(range(len(names)), names, fontsize=7)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    made.legend(handles=_legend(board), loc="outside upper left", ncols=3, fontsize=7, frameon=False)
    say_within(
        made,
        f"Numbers: by how much the control is better, mean over seeds, {_units(board)}; negative where the operator "
        "is. "
        "Colours: the verdict on this data set, over all comparisons and looks together. Empty: not trained, or not to "
        f"be had of this operator. {MEAN.capitalize()}: over the operators, of which there are at least two.",
    )
    return Picture(made, f"{suite.title} Mean differences between operators and their twins, and verdicts.")


def _units(board: Leaderboard) -> str:
    units = {c.unit for c in board.comparisons}
    return "in points" if all(unit.in_points for unit in units) else "in the metric's own unit, or points"


def _draw(axis: Axes, column: int, row: int, c: Comparison) -> None:
    """One field: the verdict's colour, and by how much the control is better."""
    axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=_colour(c.verdict), lw=0))
    _write(axis, column, row, c.unit.signed(c.answer_a.estimate.mean), "bold" if c.verdict.decided else "normal")


def _write(axis: Axes, column: int, row: int, text: str, weight: str) -> None:
    axis.text(column, row, text, ha="center", va="center", fontsize=6.5, fontweight=weight)


def _colour(verdict: Verdict) -> Colour:
    colour, _ = verdict_look(verdict)
    share = DECIDED if verdict.decided else UNDECIDED
    red, green, blue = (1 - share * (1 - part) for part in colour)
    return red, green, blue


def _legend(board: Leaderboard) -> list[Patch]:
    shown = {_colour(c.verdict) for c in board.comparisons}
    return [Patch(color=_colour(v), label=words) for words, v in KEYS.items() if _colour(v) in shown]
