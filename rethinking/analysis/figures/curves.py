"""Learning curves: the median over the seeds that still train, as long as these are at least half, and how many."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure, SubFigure

from rethinking.analysis.cells import StoredCell
from rethinking.analysis.figures.colours import variant_colour
from rethinking.analysis.figures.picture import (
    Picture,
    nothing_to_draw,
    older_text,
    partial_text,
    row_cell,
    say_within,
    score_label,
)
from rethinking.analysis.settings import differing
from rethinking.analysis.suites import Suite
from rethinking.analysis.tidy import Results
from rethinking.configuration.identity import canonical, identity

DASHES = ("-", "--", ":", "-.")
EXPLAINED = (
    "Lines: the median over the seeds that still train; a line ends, at a dot, where fewer than half of them do. "
    "Below: how many do."
)


@dataclass(frozen=True)
class Curve:
    """One line. look: cells of the same settings look alike, but for their colour.

    values: a row an epoch, a column a seed; NaN where a seed has stopped.
    """

    label: str
    variant: str
    look: int
    values: pd.DataFrame

    @property
    def training(self) -> pd.Series:
        """By epoch, how many seeds still train."""
        return self.values.notna().sum(axis=1)

    @property
    def shown(self) -> pd.DataFrame:
        """The epochs in which at least half of the seeds still train."""
        return self.values[2 * self.training >= self.values.shape[1]]


def validation_curves(suite: Suite, results: Results, fidelity: str) -> Picture:
    """Figure 7: the supervised loss on the validation set while training, a line a row."""
    panels, missing, older = {}, [], []
    for dataset, title in suite.columns.items():
        curves = []
        for look, row in enumerate(suite.rows):
            cell_id = results.cell_with_runs(row_cell(suite, row, dataset, fidelity))
            curve = _curve(results, cell_id, "val_loss", row, look) if cell_id else None
            if cell_id and curve:
                curves.append(curve)
                older += [f"{row} on {title}"] if results.cells[cell_id].older else []
        if curves:
            panels[title] = curves
        if len(curves) < len(suite.rows):
            missing.append(f"{title} ({len(curves)} of {len(suite.rows)} rows)")
    if not panels:
        raise nothing_to_draw(suite, "learning curves")
    made = plt.figure(figsize=(4 * len(panels), 4.4), layout="constrained")
    for part, (title, curves) in zip(made.subfigures(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        _draw(part, title, curves, "supervised validation loss", quartiles=True)
    say_within(made, f"{EXPLAINED} Shaded: quartiles.")
    return Picture(made, f"{suite.title}.{partial_text(missing, [])}{older_text(older)}")


def score_curves(results: Results, fidelity: str) -> Iterator[Picture]:
    """The validation scores of all cells, by data set and family; cells without a history have none.

    A picture has as many settings as there are kinds of lines, at most.
    """
    cells = [cell for cell in results.cells.values() if cell.config["fidelity"] == fidelity]
    for title, family in sorted({(cell.title, cell.config["family"]) for cell in cells}):
        mine = [cell for cell in cells if (cell.title, cell.config["family"]) == (title, family)]
        unit, column = mine[0].measure.unit, f"val_{mine[0].measure.metric}"
        settings = _settings(mine)
        kinds = sorted(set(settings))
        in_order = sorted(zip(mine, settings, strict=True), key=lambda one: (one[0].config["variant"], one[1]))
        for first in range(0, len(kinds), len(DASHES)):
            part = kinds[first : first + len(DASHES)]
            curves = []
            for cell, text in in_order:
                if text in part:
                    label = f"{cell.config['variant']} ({text})" if text else cell.config["variant"]
                    curve = _curve(results, cell.id, column, label, part.index(text), unit.scale)
                    curves += [curve] if curve else []
            if curves:
                figure = plt.figure(figsize=(3.3, 3.4 + 0.16 * len(curves)), layout="constrained")
                _draw(
                    figure.subfigures(squeeze=False)[0, 0],
                    f"{title}: {family}",
                    curves,
                    score_label("validation", unit),
                )
                say_within(figure, EXPLAINED)
                yield Picture(figure, "")


def _settings(cells: Sequence[StoredCell]) -> list[str]:
    """What tells each cell from the others of its family and data set, besides the variant's name."""
    configurations = [identity(cell.config, cell.fingerprint) for cell in cells]
    shared = differing([{part: whole[part] for part in ("network", "trainer", "dataset")} for whole in configurations])
    texts = []
    for cell, text in zip(cells, shared, strict=True):
        alike = [other for other in cells if other.config["variant"] == cell.config["variant"]]
        own = differing([canonical(other.config["select"]) for other in alike])[alike.index(cell)]
        texts.append(", ".join(filter(None, [text, own])))
    return texts


def _curve(results: Results, cell_id: str, column: str, label: str, look: int, scale: float = 1.0) -> Curve | None:
    """A cell's line; None if its results have no history of this score."""
    history = results.history(cell_id)
    if column not in history:
        return None
    values = history.pivot_table(index="epoch", columns="seed", values=column)
    return Curve(label, results.cells[cell_id].config["variant"], look, scale * values) if len(values) else None


def _draw(figure: Figure | SubFigure, title: str, curves: Sequence[Curve], label: str, quartiles: bool = False) -> None:
    """One panel: the curves, and in a strip below the number of seeds that each is of."""
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    for curve in curves:
        colour, shown, training = variant_colour(curve.variant), curve.shown, curve.training
        style = {"color": colour, "linestyle": DASHES[curve.look % len(DASHES)], "lw": 1.3}
        middle = shown.median(axis=1)
        above.plot(shown.index, middle, label=curve.label, **style)
        above.plot(shown.index[-1:], middle.iloc[-1:], ".", color=colour, ms=5)
        if quartiles:
            low, high = shown.quantile(0.25, axis=1), shown.quantile(0.75, axis=1)
            above.fill_between(shown.index, low, high, color=colour, alpha=0.15, lw=0)
        below.step(training.index, training, where="mid", **style)
    above.set_title(title, fontsize=9)
    above.set_ylabel(label, fontsize=8)
    below.set_ylabel("seeds", fontsize=8)
    below.set_xlabel("epoch", fontsize=8)
    below.set_ylim(bottom=0)
    below.yaxis.get_major_locator().set_params(integer=True, nbins=2)
    for axis in (above, below):
        axis.tick_params(labelsize=7)
    figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", fontsize=7, frameon=False)
