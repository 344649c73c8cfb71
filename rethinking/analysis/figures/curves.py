"""Learning curves: the median over the seeds that still train, and below it how many these are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure, SubFigure

from rethinking.analysis.figures.picture import (
    Picture,
    nothing_to_draw,
    older_text,
    partial_text,
    row_cell,
    row_colours,
    score_label,
)
from rethinking.analysis.settings import differing
from rethinking.analysis.suites import Suite
from rethinking.analysis.tidy import Results
from rethinking.configuration.identity import identity

DASHES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Curve:
    """One line. values: a row an epoch, a column a seed; NaN where a seed has stopped."""

    label: str
    variant: str
    values: pd.DataFrame


def validation_curves(suite: Suite, results: Results, fidelity: str) -> Picture:
    """Figure 7: the supervised loss on the validation set while training, a line a row."""
    panels, missing, older = {}, [], []
    for dataset, title in suite.columns.items():
        curves = []
        for row in suite.rows:
            cell_id = results.cell_with_runs(row_cell(suite, row, dataset, fidelity))
            curve = _curve(results, cell_id, "val_loss", row) if cell_id else None
            if cell_id and curve:
                curves.append(curve)
                older += [f"{row} on {title}"] if results.cells[cell_id].older else []
        if curves:
            panels[title] = curves
        if len(curves) < len(suite.rows):
            missing.append(f"{title} ({len(curves)} of {len(suite.rows)} rows)")
    if not panels:
        raise nothing_to_draw(suite, "learning curves")
    made = plt.figure(figsize=(4 * len(panels), 4), layout="constrained")
    for part, (title, curves) in zip(made.subfigures(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        _draw(part, title, curves, "supervised validation loss", quartiles=True)
    text = f"{suite.title}. Median and quartiles over the seeds that still train; below, how many these are."
    return Picture(made, text + partial_text(missing, []) + older_text(older))


def score_curves(results: Results, fidelity: str) -> Iterator[Picture]:
    """The validation scores of all cells, a picture a data set and family; cells without a history have none."""
    cells = [cell for cell in results.cells.values() if cell.config["fidelity"] == fidelity]
    for title, family in sorted({(cell.title, cell.config["family"]) for cell in cells}):
        mine = [cell for cell in cells if (cell.title, cell.config["family"]) == (title, family)]
        curves = []
        for variant in sorted({cell.config["variant"] for cell in mine}):
            alike = [cell for cell in mine if cell.config["variant"] == variant]
            settings = differing([identity(cell.config, cell.fingerprint) for cell in alike])
            for text, cell in sorted(zip(settings, alike, strict=True), key=lambda pair: pair[0]):
                label = f"{variant} ({text})" if text else variant
                curve = _curve(results, cell.id, f"val_{cell.measure.metric}", label, cell.measure.unit.scale)
                curves += [curve] if curve else []
        if curves:
            figure = plt.figure(figsize=(3.3, 2.9 + 0.16 * len(curves)), layout="constrained")
            _draw(figure, f"{title}: {family}", curves, score_label("validation", mine[0].measure.unit))
            yield Picture(figure, "")


def _curve(results: Results, cell_id: str, column: str, label: str, scale: float = 1.0) -> Curve | None:
    """A cell's line; None if its results have no history of this score."""
    history = results.history(cell_id)
    if column not in history:
        return None
    values = history.pivot_table(index="epoch", columns="seed", values=column)
    return Curve(label, results.cells[cell_id].config["variant"], scale * values)


def _draw(figure: Figure | SubFigure, title: str, curves: Sequence[Curve], label: str, quartiles: bool = False) -> None:
    """One panel: the curves, and in a strip below the number of seeds that each is of."""
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    variants = [curve.variant for curve in curves]
    for number, (curve, colour) in enumerate(zip(curves, row_colours(variants), strict=True)):
        values, alike = curve.values, variants[:number].count(curve.variant)
        look = {"color": colour, "linestyle": DASHES[alike % len(DASHES)], "lw": 1.2}
        above.plot(values.index, values.median(axis=1), label=curve.label, **look)
        if quartiles:
            low, high = values.quantile(0.25, axis=1), values.quantile(0.75, axis=1)
            above.fill_between(values.index, low, high, color=colour, alpha=0.15, lw=0)
        below.step(values.index, values.notna().sum(axis=1), where="mid", **look)
    above.set_title(title, fontsize=9)
    above.set_ylabel(label, fontsize=8)
    below.set_ylabel("seeds", fontsize=8)
    below.set_xlabel("epoch", fontsize=8)
    below.set_ylim(bottom=0)
    below.yaxis.get_major_locator().set_params(integer=True, nbins=2)
    for axis in (above, below):
        axis.tick_params(labelsize=7)
    figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", fontsize=7, frameon=False)
