"""Figures of all comparisons: their verdicts, and score against locality."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from rethinking.analysis.comparisons import Comparison, compare, question
from rethinking.analysis.figures.picture import MARKERS, PALETTE, Picture
from rethinking.analysis.older import MARK, MEANING
from rethinking.analysis.tidy import Results
from rethinking.errors import UserError


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
    colours = dict(zip(("equivalent", "local better", "non-local better", "undecided"), PALETTE, strict=False))
    for axis, group in zip(axes[:, 0], groups, strict=True):
        for place, c in enumerate(reversed(group)):
            d = c.difference
            marker = MARKERS[list(colours).index(c.verdict)]
            axis.plot([d.low, d.high], [place, place], color=colours[c.verdict], lw=2)
            axis.plot(d.mean, place, marker, color=colours[c.verdict], ms=5)
        margin = group[0].margin
        axis.axvspan(-margin, margin, color="0.85", zorder=0)
        axis.axvline(0, color="0.4", lw=1)
        axis.set_yticks(range(len(group)), [_name(c) for c in reversed(group)], fontsize=7)
        axis.set_ylim(-0.7, len(group) - 0.3)
        unit = group[0].unit
        axis.set_xlabel(
            f"non-local minus local, test {unit.name}" + (" in points" if unit.scale == 100 else ""), fontsize=8
        )
        axis.tick_params(axis="x", labelsize=8)
        axis.locator_params(axis="x", nbins=7)
        axis.grid(axis="y", visible=False)
    shown = [verdict for verdict in colours if any(c.verdict == verdict for c in comparisons)]
    handles = [plt.Line2D([], [], color=colours[v], marker=MARKERS[list(colours).index(v)], label=v) for v in shown]
    axes[0, 0].legend(handles=handles, fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False)
    made.tight_layout()
    text = "Local against non-local pooling: mean paired differences with 95 % intervals; grey: the margin."
    return Picture(made, text + (f" {MEANING}" if any(c.older for c in comparisons) else ""))


def locality(results: Results, fidelity: str) -> Picture:
    """Score against locality: how near nodes of a cluster are, and by how much a variant beats the local one."""
    asked = question()
    panels, without = {}, 0
    for title, datasets in (("data sets", ()), ("controls", asked.left_out)):
        try:
            points = _points(compare(results, asked, fidelity, datasets)[0], results)
        except UserError:
            continue
        without += int(points["near"].isna().sum())
        points = points.dropna(subset=["near", "gain"])
        if len(points):
            panels[title] = points
    if not panels:
        raise UserError("No run that can be compared has measures of its clusters; train with diagnosed_graphs=200.")
    made, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels) + 1, 3.6), squeeze=False)
    everything = pd.concat(panels.values())
    families, variants = (sorted(set(everything[name])) for name in ("family", "variant"))
    looks = {"hue": "family", "hue_order": families, "palette": PALETTE[: len(families)]}
    looks |= {"style": "variant", "style_order": variants, "markers": list(MARKERS[: len(variants)]), "s": 60}
    for axis, (title, points) in zip(axes[0], panels.items(), strict=True):
        last = axis is axes[0][-1]
        sns.scatterplot(points, x="near", y="gain", ax=axis, legend=last, **looks)
        axis.axhline(0, color="0.5", lw=1)
        axis.axvline(1, color="0.5", lw=1, ls=":")
        axis.set(title=title, xlabel="steps within a cluster / between any nodes", ylabel="")
        if last:
            axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    axes[0][0].set_ylabel("better than the local variant by")
    made.tight_layout()
    text = (
        "Score against locality, a point a cell. Across: the mean distance of two nodes of a cluster of the first "
        "pooling layer by that of any two nodes; below 1 clusters are local, at 1 they know nothing of the graph. Up: "
        "by how much the test score is better than that of the family's local variant, in points (MAE: as it is)."
    )
    return Picture(made, text + (f" {without} cells are of runs without these measures." if without else ""))


def _points(comparisons: Sequence[Comparison], results: Results) -> pd.DataFrame:
    """A row a cell: how near nodes of a cluster are, and its gain over the local cell."""
    rows = []
    for c in comparisons:
        for variant, cell_id, gain in ((c.reference, c.local, 0.0), (c.variant, c.other, c.gain)):
            within, between = (results.scores(cell_id, name).mean() for name in ("pool1_hops", "hops"))
            rows.append([c.family, variant, cell_id, gain, within / between])
    frame = pd.DataFrame(rows, columns=["family", "variant", "cell", "gain", "near"])
    return frame.drop_duplicates(["cell", "gain"])


def _name(c: Comparison) -> str:
    settings = f" ({c.settings})" if c.settings else ""
    return f"{c.dataset}: {c.family}{settings}, {c.variant}{MARK if c.older else ''}"
