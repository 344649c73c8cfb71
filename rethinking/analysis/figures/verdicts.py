"""The figure of all comparisons and their verdicts."""

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.lines import Line2D

from rethinking.analysis.comparisons import Comparison, compare, question
from rethinking.analysis.figures.picture import MARKERS, Picture, difference_label
from rethinking.analysis.older import MARK, MEANING
from rethinking.analysis.questions import question
from rethinking.analysis.tidy import Results


def verdicts(results: Results, fidelity: str) -> Picture:
    """All comparisons with their intervals, and the margin."""
    asked = question()
    comparisons, _ = compare(results, asked, fidelity)
    metrics = sorted({c.metric for c in comparisons})
    groups = [[c for c in comparisons if c.metric == metric] for metric in metrics]
    heights = [len(group) for group in groups]
    made, axes = plt.subplots(
        len(groups),
        1,
        figsize=(7, 0.26 * sum(heights) + 1.1 * len(groups)),
        squeeze=False,
        gridspec_kw={"height_ratios": heights},
    )
    colours = dict(
        zip(
            ("equivalent", "local better", "non-local better", "undecided"),
            sns.color_palette("colorblind"),
            strict=False,
        )
    )
    colours |= dict.fromkeys(("too few seeds", "no variance"), (0.6, 0.6, 0.6))
    for axis, group in zip(axes[:, 0], groups, strict=True):
        for place, c in enumerate(reversed(group)):
            estimate, finding = c.answer_a.estimate, c.verdict.finding
            axis.plot(estimate.interval(asked.confidence), [place, place], color=colours[finding], lw=2)
            axis.plot(estimate.mean, place, MARKERS[list(Finding).index(finding)], color=colours[finding], ms=5)
        margin = group[0].margin
        axis.axvspan(-margin, margin, color="0.85", zorder=0)
        axis.axvline(0, color="0.4", lw=1)
        axis.set_yticks(range(len(group)), [_name(c) for c in reversed(group)], fontsize=7)
        axis.set_ylim(-0.7, len(group) - 0.3)
        unit = group[0].unit
        axis.set_xlabel(f"non-local better by, test, {difference_label(unit)}", fontsize=8)
        axis.tick_params(axis="x", labelsize=8)
        axis.locator_params(axis="x", nbins=7)
        axis.grid(axis="y", visible=False)
    shown = [finding for finding in Finding if any(c.verdict.finding == finding for c in comparisons)]
    handles = [Line2D([], [], color=colours[f], marker=MARKERS[list(Finding).index(f)], label=str(f)) for f in shown]
    axes[0, 0].legend(handles=handles, fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
    made.tight_layout()
    text = "Local against non-local pooling: mean paired differences with 95 % intervals; grey: the margin."
    return Picture(made, text + (f" {MEANING}" if any(c.older for c in comparisons) else ""))


def _name(c: Comparison) -> str:
    settings = f" ({c.settings})" if c.settings else ""
    return f"{c.title}: {c.family}{settings}, {c.variant}{MARK if c.older else ''}"
