"""The pictures of a scorecard: points rebuilt, graphs before and after pooling with their spectra, and costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from rethinking.analysis.figures.colours import INK, Colour, variant_colour
from rethinking.analysis.figures.picture import MARKERS, Picture, say_within
from rethinking.analysis.scorecards import MEBI, MILLI, Card, graphs_of, growth
from rethinking.scorecard.card import COST, FEATURES, STRUCTURE, Drawn

# A graph is drawn in the colour of no pooling, and what an operator makes of it in that of its own clusters.
BEFORE, AFTER = variant_colour("none"), variant_colour("learned")
INCHES = 1.75  # of a panel


@dataclass(frozen=True)
class CostPanel:
    """One measure of costs. unit: what is shown as one. sign: its name."""

    measure: str
    title: str
    unit: float
    sign: str


COSTS = (CostPanel("seconds", "time", MILLI, "ms"), CostPanel("memory", "memory", MEBI, "MiB"))


def rebuilt(card: Card) -> Picture | None:
    """Of each graph its points, and those rebuilt from what was pooled; None if there are none."""
    graphs = [graph for graph in graphs_of([card], [FEATURES]) if card.part(FEATURES, graph).drawn]
    if not graphs:
        return None
    made = plt.figure(figsize=(2 * INCHES, INCHES * len(graphs) + 0.9), layout="constrained")
    axes = made.subplots(len(graphs), 2, squeeze=False)
    for (left, right), graph in zip(axes, graphs, strict=True):
        drawn = card.part(FEATURES, graph).drawn
        before, after = drawn["graph"], drawn["rebuilt"]
        draw_graph(left, before, before.points, BEFORE, graph)
        draw_graph(right, before, after.points, AFTER, f"rebuilt, MSE {card.values(FEATURES, 'mse', graph)[0]:.2g}")
        if len(after.points) == len(before.points):
            # In the frame of the graph, so that what is lost is seen.
            reach = np.concatenate([plane(before.points), plane(after.points)])
            low, high = reach.min(axis=0), reach.max(axis=0)
            margin = 0.06 * (high - low).max()
            for axis in (left, right):
                axis.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin))
    _name(made, card)
    say_within(made, "Left: the points of a graph. Right: rebuilt from the pooled graph by an autoencoder.")
    return Picture(made, "")


def pooled(card: Card) -> Picture | None:
    """Of each graph itself, the pooled one and both spectra; None if there are none."""
    graphs = [graph for graph in graphs_of([card], [STRUCTURE]) if card.part(STRUCTURE, graph).drawn]
    if not graphs:
        return None
    # No wider than two panels, so that it can be read on a telephone.
    made = plt.figure(figsize=(2 * INCHES, 1.6 * INCHES * len(graphs) + 1.1), layout="constrained")
    rows = made.add_gridspec(2 * len(graphs), 2, height_ratios=[1, 0.6] * len(graphs))
    for number, graph in enumerate(graphs):
        left, middle = (made.add_subplot(rows[2 * number, column]) for column in (0, 1))
        below = made.add_subplot(rows[2 * number + 1, :])
        drawn = card.part(STRUCTURE, graph).drawn
        before, after = drawn["graph"], drawn["pooled"]
        draw_graph(left, before, before.points, BEFORE, graph)
        dense = card.values(STRUCTURE, "density", graph)[0]
        draw_graph(middle, after, after.points, AFTER, f"pooled, density {dense:.2g}")
        for one, colour in ((before, BEFORE), (after, AFTER)):
            below.plot(np.linspace(0, 1, len(one.spectrum)), one.spectrum, color=colour, lw=1.6)
        below.set_title("spectra", fontsize=8)
        below.tick_params(labelsize=7)
    _name(made, card)
    say_within(
        made,
        "Grey: the graph. Blue: what is pooled of it, each cluster in the middle of its nodes; edges with more weight "
        "are darker, and of many only the heaviest are drawn. Spectra: eigenvalues of the normalised Laplacian, from "
        "the smallest to the largest.",
    )
    return Picture(made, "")


def costs(cards: Sequence[Card]) -> Picture | None:
    """Time and memory of a step against the number of nodes, a line an operator; None if they were not measured."""
    known = [card for card in cards if card.part(COST).values]
    panels = [panel for panel in COSTS if any((card.values(COST, panel.measure) > 0).any() for card in known)]
    if not panels:
        return None
    sizes = sorted({size for card in known for size in card.part(COST).values["nodes"]})
    made = plt.figure(figsize=(2 * INCHES, INCHES * len(panels) + 0.6 + 0.16 * len(known)), layout="constrained")
    axes = made.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        axis.set(xscale="log", yscale="log")
        axis.set_title(f"{panel.title} of a step, {panel.sign}", fontsize=8)
        axis.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axis.minorticks_off()
        axis.set_ylim(_decades([card.values(COST, panel.measure) / panel.unit for card in known]))
        axis.tick_params(labelsize=7)
    for number, card in enumerate(known):
        look: dict[str, Any] = {"color": variant_colour(card.name), "marker": MARKERS[number % len(MARKERS)], "ms": 4}
        powers = []
        for axis, panel in zip(axes, panels, strict=True):
            values = card.values(COST, panel.measure) / panel.unit
            # Below zero is what was freed meanwhile.
            values = np.where(values > 0, values, np.nan)
            axis.plot(card.values(COST, "nodes"), values, lw=1.2, **look)
            power = growth(card.values(COST, "nodes"), values)
            powers += [] if np.isnan(power) else [f"{panel.title} as N^{power:.1f}"]
        axes[0].plot([], [], label=": ".join(filter(None, [card.operator, ", ".join(powers)])), **look)
    axes[-1].set_xlabel("nodes N", fontsize=8)
    made.legend(loc="outside upper left", fontsize=7, frameon=False)
    say_within(made, "Forward and backward on one graph of random points, each joined to its nearest, on this machine.")
    return Picture(made, "")


def _decades(values: Sequence[np.ndarray]) -> tuple[float, float]:
    """Whole ones around what is above zero: within one an axis has no number, and noise looks like growth."""
    known = np.concatenate(values)
    exponents = np.log10(known[known > 0])
    low = np.floor(exponents.min())
    return 10.0**low, 10.0 ** max(np.ceil(exponents.max()), low + 1)


def _name(figure: Figure, card: Card) -> None:
    figure.suptitle(card.operator, x=0.01, ha="left", fontsize=9, fontweight="bold")


def draw_graph(axis: Axes, graph: Drawn, points: Sequence[Sequence[float]], colour: Colour, title: str) -> None:
    """A graph with its nodes at these points, or the points alone if they are not its nodes."""
    place = plane(points)
    if len(points) == len(graph.points) and graph.edges:
        ends = np.array([[one, other] for one, other, _ in graph.edges])
        weight = np.abs([weight for *_, weight in graph.edges])
        # Light where there are many, so that a dense graph is no blot.
        strength = (0.15 + 0.75 * weight / weight.max()) * min(1.0, (4 * len(points) / len(ends)) ** 0.5)
        lines = LineCollection(place[ends], colors=[(*colour, alpha) for alpha in strength], linewidths=0.7)
        # One image in place of a line each, which would make a page of megabytes.
        axis.add_collection(lines).set_rasterized(len(ends) > 300)
    axis.scatter(place[:, 0], place[:, 1], s=max(1.0, min(9.0, 600 / len(place))), color=colour, linewidths=0, zorder=3,
                 rasterized=len(place) > 300)  # fmt: skip
    axis.set_title(title, fontsize=8, color=INK)
    axis.set(xticks=[], yticks=[], aspect="equal")
    axis.margins(0.08)


def plane(points: Sequence[Sequence[float]]) -> np.ndarray:
    """The first two coordinates."""
    return np.array(points, dtype=float).reshape(len(points), -1)[:, :2]
