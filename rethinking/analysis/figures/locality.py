"""The figure of score against locality, from the measures of clusters that runs have."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.lines import Line2D

from rethinking.analysis.comparisons import Comparison, compare, question
from rethinking.analysis.figures.colours import INK, Colour, variant_colour
from rethinking.analysis.figures.picture import MARKERS, Picture, difference_label
from rethinking.analysis.older import MARK, MEANING
from rethinking.analysis.questions import question
from rethinking.analysis.tidy import Results
from rethinking.errors import UserError
from rethinking.tasks.task import Unit


def locality(results: Results, fidelity: str) -> Picture:
    """Score against locality: how near nodes of a cluster are, and by how much a variant beats the local one."""
    asked = question()
    panels: dict[str, tuple[Unit, list[_Point]]] = {}
    without = 0
    for title, datasets in (("data sets", ()), ("controls", asked.left_out)):
        try:
            comparisons, _ = compare(results, asked, fidelity, datasets)
        except UserError:
            continue
        for metric in sorted({c.metric for c in comparisons}):
            of_metric = [c for c in comparisons if c.metric == metric]
            points = _points(of_metric, results)
            known = [point for point in points if not math.isnan(point.near)]
            without += len({point.cell for point in points}) - len({point.cell for point in known})
            if known:
                panels[f"{title}: {of_metric[0].unit.name}"] = of_metric[0].unit, known
    if not panels:
        raise UserError("No run that can be compared has measures of its clusters; train with diagnosed_graphs=200.")
    everything = [point for _, points in panels.values() for point in points]
    families = sorted({point.family for point in everything})
    markers = {family: MARKERS[number % len(MARKERS)] for number, family in enumerate(families)}
    width = min(2, len(panels))
    height = -(-len(panels) // width)
    made = plt.figure(figsize=(3.6 * width + 1.4, 3.2 * height), layout="constrained")
    for place, (title, (unit, points)) in enumerate(panels.items(), 1):
        axis = made.add_subplot(height, width, place)
        for point in points:
            colour = variant_colour(point.variant)
            face = "none" if point.older else colour
            axis.scatter(point.near, point.gain, s=45, marker=markers[point.family], facecolor=face, edgecolor=colour)
        axis.axhline(0, color="0.5", lw=1, zorder=0)
        axis.axvline(1, color="0.5", lw=1, ls=":", zorder=0)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("steps within a cluster / between any nodes", fontsize=8)
        axis.set_ylabel(f"better than the local variant by\n{difference_label(unit)}", fontsize=8)
        axis.tick_params(labelsize=8)
    older = any(point.older for point in everything)
    made.legend(handles=_legend(everything, markers, older), loc="outside right upper", fontsize=7, frameon=False)
    text = (
        "Score against locality, a point a cell. Across: the mean distance of two nodes of a cluster of the first "
        "pooling layer by that of any two nodes; below 1 clusters are local, at 1 they know nothing of the graph. Up: "
        "by how much the test score is better than that of the family's local variant."
    )
    text += f" Hollow: {MEANING.removeprefix(MARK).strip()}" if older else ""
    return Picture(made, text + (f" {without} cells are of runs without these measures." if without else ""))


@dataclass(frozen=True)
class _Point:
    """A cell: how near nodes of a cluster are, and its gain over the local cell."""

    family: str
    variant: str
    cell: str
    older: bool
    gain: float
    near: float


def _points(comparisons: Sequence[Comparison], results: Results) -> list[_Point]:
    points = []
    for c in comparisons:
        for variant, cell_id, gain in ((c.reference, c.local, 0.0), (c.variant, c.other, c.answer_a.estimate.mean)):
            within, between = (results.scores(cell_id, name).mean() for name in ("pool1_hops", "hops"))
            points.append(_Point(c.family, variant, cell_id, c.older, gain, within / between))
    return list(dict.fromkeys(points))


def _legend(points: Sequence[_Point], markers: Mapping[str, str], older: bool) -> list[Line2D]:
    """Variants by colour, families by marker."""
    variants = sorted({point.variant for point in points})
    handles = [_handle(name, "s", variant_colour(name)) for name in variants]
    handles += [_handle(name, marker, INK) for name, marker in markers.items()]
    return [*handles, _handle("schema 1", "o", INK, filled=False)] if older else handles


def _handle(label: str, marker: str, colour: Colour, filled: bool = True) -> Line2D:
    face = colour if filled else "none"
    return Line2D([], [], linestyle="", marker=marker, markersize=6, color=colour, markerfacecolor=face, label=label)
