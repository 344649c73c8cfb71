"""A picture of each study: what every operator makes of the same graphs."""

from collections.abc import Callable

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from rethinking.analysis.figures.colours import INK
from rethinking.analysis.figures.picture import Picture, say_within, style
from rethinking.analysis.figures.scorecards import AFTER, BEFORE, draw_graph, plane
from rethinking.analysis.studies import Outcome
from rethinking.errors import UserError
from rethinking.scorecard.card import Part

INCHES = 1.15  # of a panel
# Draws what an operator makes of a graph: the axes, the graph, what was measured.
Draw = Callable[[Axes, Part], None]


def draw_study(made: Outcome) -> Picture:
    """A row a graph, a column an operator. Raises UserError if there is nothing to draw."""
    study = made.study
    graphs = [graph for graph in study.graphs if any(card.part(study.part, graph).drawn for card in made.cards)]
    if not graphs:
        raise UserError(f"there is nothing to draw; `rethinking reproduce {study.name}` measures it.")
    matplotlib.use("Agg")
    draw, text = DRAWN[study.drawn]
    with style():
        columns = 1 + len(made.cards)
        figure = plt.figure(figsize=(INCHES * columns, (INCHES + 0.15) * len(graphs) + 0.6), layout="constrained")
        axes = figure.subplots(len(graphs), columns, squeeze=False)
        for row, graph in zip(axes, graphs, strict=True):
            parts = [card.part(study.part, graph) for card in made.cards]
            whole = next(part.drawn["graph"] for part in parts if part.drawn)
            draw_graph(row[0], whole, whole.points, BEFORE, graph)
            for axis, part in zip(row[1:], parts, strict=True):
                if part.drawn:
                    draw(axis, part)
                else:
                    _say_missing(axis)
            # All in the frame of the graph, so that what is lost is seen.
            _frame(row, plane(whole.points))
        for axis, card in zip(axes[0, 1:], made.cards, strict=True):
            axis.set_title(f"{card.operator}\n{axis.get_title()}", fontsize=7, color=INK)
        say_within(figure, text)
    return Picture(figure, f"{study.title}, the first run of each operator.")


def _rebuilt(axis: Axes, part: Part) -> None:
    graph, points = part.drawn["graph"], part.drawn["rebuilt"].points
    draw_graph(axis, graph, points, AFTER, _short(1000 * float(np.mean(part.values["mse"]))))


def _pooled(axis: Axes, part: Part) -> None:
    graph = part.drawn["pooled"]
    draw_graph(axis, graph, graph.points, AFTER, _short(float(np.mean(part.values["distance"]))))


def _frame(axes: np.ndarray, points: np.ndarray) -> None:
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.1 * (high - low).max()
    for axis in axes:
        axis.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin))


def _say_missing(axis: Axes) -> None:
    axis.set(xticks=[], yticks=[], aspect="equal")
    axis.text(0.5, 0.5, "missing", ha="center", va="center", fontsize=7, color=INK, transform=axis.transAxes)


DRAWN: dict[str, tuple[Draw, str]] = {
    "rebuilt": (
        _rebuilt,
        "Left: the points of a graph. Then: rebuilt by an autoencoder with each operator in its middle, and the mean "
        "squared error × 1000, the mean over runs.",
    ),
    "pooled": (
        _pooled,
        "Left: the graph. Then: what each operator makes of it, each cluster in the middle of its nodes, one without "
        "nodes in the middle of all, and the spectral distance, the mean over runs. Of many edges only the heaviest "
        "are drawn; heavier ones are darker.",
    ),
}


def _short(number: float) -> str:
    """Two digits, and of large numbers the whole ones."""
    return f"{number:.2g}" if abs(number) < 100 else f"{number:.0f}"
