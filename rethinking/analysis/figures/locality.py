"""The figure of score against locality, from the measures of clusters that runs have."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from rethinking.analysis.comparisons import Comparison, compare
from rethinking.analysis.figures.colours import INK, MARGIN, Colour, variant_colour
from rethinking.analysis.figures.picture import MARKERS, Picture, say_within
from rethinking.analysis.older import MARK, MEANING
from rethinking.analysis.questions import Question, question
from rethinking.analysis.tidy import Results
from rethinking.errors import UserError


@dataclass(frozen=True)
class _Point:
    """A comparison. near: how near nodes of a cluster are, of the local and the non-local cell.

    gain: by how much the non-local one is better, in margins, with its interval on this data set.
    """

    comparison: Comparison
    near: tuple[float, float]
    gain: float
    interval: tuple[float, float]


def locality(results: Results, fidelity: str) -> Picture:
    """Score against locality: how near nodes of a cluster are, and by how much a variant beats the local one."""
    asked = question()
    panels: dict[str, list[_Point]] = {}
    without = 0
    # Without names all data sets are meant that are not left out.
    for title, datasets in (("Data sets", ()), *((("Controls", asked.left_out),) if asked.left_out else ())):
        try:
            comparisons, _ = compare(results, asked, fidelity, datasets)
        except UserError:
            continue
        for metric in sorted({c.metric for c in comparisons}):
            of_metric = [c for c in comparisons if c.metric == metric]
            points = [_point(c, results, asked) for c in of_metric]
            known = [point for point in points if not any(map(math.isnan, point.near))]
            without += len(points) - len(known)
            if known:
                panels[f"{title}: {of_metric[0].unit.name}"] = known
    if not panels:
        raise UserError("No run that can be compared has measures of its clusters; train with diagnosed_graphs=200.")
    everything = [point.comparison for points in panels.values() for point in points]
    families = sorted({c.family for c in everything})
    markers = {family: MARKERS[number % len(MARKERS)] for number, family in enumerate(families)}
    # One below the other, as a phone has no place for two.
    made = plt.figure(figsize=(5.4, 3 * len(panels) + 1.1), layout="constrained")
    axes = made.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axis, (title, points) in zip(axes, panels.items(), strict=True):
        _draw(axis, title, points, markers)
    older = any(c.older for c in everything)
    made.legend(handles=_legend(everything, markers, older), loc="outside right upper", fontsize=8, frameon=False)
    say_within(
        made,
        "Each line goes from a local cell, on the zero line, to a non-local one. Across: the mean distance of "
        "two nodes of a cluster of the first pooling layer, divided by that of any two nodes of the graph: below "
        "1 clusters are local, at 1 they know nothing of the graph. Up: by how many margins the non-local one is "
        f"better in the test, with the {asked.confidence:.0%} interval on this data set. Grey band: within the "
        "margin, where it does not matter.",
        size=8,
    )
    text = "Score against locality, a point a comparison."
    text += f" Hollow: {MEANING.removeprefix(MARK).strip()}" if older else ""
    return Picture(made, text + (f" {without} comparisons are of runs without these measures." if without else ""))


def _point(c: Comparison, results: Results, asked: Question) -> _Point:
    near = []
    for cell_id in (c.local, c.other):
        within, between = (results.scores(cell_id, name).mean() for name in ("pool1_hops", "hops"))
        near.append(within / between)
    low, high = c.answer_a.estimate.interval(asked.confidence)
    return _Point(c, (near[0], near[1]), c.answer_a.estimate.mean / c.margin, (low / c.margin, high / c.margin))


def _draw(axis: Axes, title: str, points: Sequence[_Point], markers: Mapping[str, str]) -> None:
    """One panel, of one metric."""
    axis.axhspan(-1, 1, color=MARGIN, zorder=0)
    axis.axhline(0, color="0.5", lw=1, zorder=1)
    axis.axvline(1, color="0.5", lw=1, ls=":", zorder=1)
    for point in points:
        c, (local, other) = point.comparison, point.near
        for near, gain, variant in ((local, 0.0, c.reference), (other, point.gain, c.variant)):
            colour = variant_colour(variant)
            face = "none" if c.older else colour
            axis.scatter(
                near, gain, s=45, marker=markers[c.family], facecolor=face, edgecolor=colour, alpha=0.9, zorder=3
            )
        axis.plot([local, other], [0, point.gain], color="0.6", lw=0.6, zorder=2)
        axis.plot([other, other], point.interval, color=variant_colour(c.variant), lw=1, alpha=0.5, zorder=2)
    one = points[0].comparison.unit.margin_text(points[0].comparison.margin)
    axis.set_title(title, fontsize=9)
    axis.set_xlabel("← local      distance in a cluster / in the graph      far →", fontsize=8)
    axis.set_ylabel(f"better than the local one, in margins\n(one is {one})", fontsize=8)
    axis.tick_params(labelsize=8)


def _legend(comparisons: Sequence[Comparison], markers: Mapping[str, str], older: bool) -> list[Line2D]:
    """Variants by colour, families by marker."""
    variants = sorted({name for c in comparisons for name in (c.variant, c.reference)})
    handles = [_heading("variant"), *(_handle(name, "s", variant_colour(name)) for name in variants)]
    handles += [_heading("family"), *(_handle(name, marker, INK) for name, marker in markers.items())]
    return [*handles, _handle("schema 1", "o", INK, filled=False)] if older else handles


def _heading(label: str) -> Line2D:
    return Line2D([], [], linestyle="", label=f"$\\bf{{{label}}}$")


def _handle(label: str, marker: str, colour: Colour, filled: bool = True) -> Line2D:
    face = colour if filled else "none"
    return Line2D([], [], linestyle="", marker=marker, markersize=6, color=colour, markerfacecolor=face, label=label)
