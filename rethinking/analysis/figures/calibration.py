"""The figure of how sound verdicts are: rates counted on made-up data sets whose truth is known, and their bounds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from statsmodels.stats.proportion import proportion_confint

from rethinking.analysis.figures.colours import INK, Colour
from rethinking.analysis.figures.picture import Picture, say_within
from rethinking.analysis.tidy import Results
from rethinking.errors import UserError

# What `make calibration` writes, in a results folder.
TABLE = Path("benchmarks", "calibration.csv")
WORDS, NUMBERS = ("what", "population", "seeds"), ("lowest", "highest", "value", "simulations")
INTERVALS, ERRORS, POWER, SEEDS = (
    "Intervals: how often they hold the truth (95 % are wanted)",
    "Errors: how often a verdict says what is not so",
    "Power: how often what is so is found",
    "Seeds until decided, on average",
)
ALLOWED: Colour = (0.80, 0.92, 0.86)
WRONG: Colour = (0.84, 0.15, 0.16)


@dataclass(frozen=True)
class Rate:
    """A row of the table. value: the mean over simulations. lowest, highest: what it has to be in; NaN where open."""

    what: str
    population: str
    seeds: str
    lowest: float
    highest: float
    value: float
    simulations: float

    @property
    def bounded(self) -> bool:
        """Whether it has to be something."""
        return not (math.isnan(self.lowest) and math.isnan(self.highest))

    @property
    def missed(self) -> bool:
        """Whether it is not as it has to be."""
        return self.value < self.lowest or self.value > self.highest

    @property
    def panel(self) -> str | None:
        """Where it is drawn, by its bounds; coverage also where it has none, for comparison."""
        if self.what.startswith("coverage"):
            return INTERVALS
        if not self.bounded:
            return None
        return SEEDS if self.highest > 1 else ERRORS if math.isnan(self.lowest) else POWER

    @property
    def row(self) -> tuple[str, str, str]:
        """What has this in common is drawn in one row. Bounds as text, as NaN equals nothing."""
        return self.what, str(self.lowest), str(self.highest)


def calibration(results: Results, fidelity: str) -> Picture:
    """Coverage, errors, power and seeds, each beside what it has to be. Of simulations, whatever the fidelity.

    Raises UserError if the table of the simulations is not there, or is none.
    """
    rates = _read(results.collected.folder / TABLE)
    panels = {
        title: _rows([rate for rate in rates if rate.panel == title]) for title in (INTERVALS, ERRORS, POWER, SEEDS)
    }
    panels = {title: rows for title, rows in panels.items() if rows}
    drawn = [rate for rows in panels.values() for row in rows for rate in row]
    names = list(dict.fromkeys(rate.population for rate in drawn))
    colours = dict(zip(names, sns.color_palette("colorblind", len(names)), strict=True))
    heights = [len(rows) + 1.2 for rows in panels.values()]
    made = plt.figure(figsize=(7.6, 0.31 * sum(heights) + 2.4), layout="constrained")
    part = made.subfigures(squeeze=False)[0, 0]
    axes = part.subplots(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axis, (title, rows) in zip(axes, panels.items(), strict=True):
        _draw(axis, title, rows, colours)
    handles = [Line2D([], [], ls="", marker="o", color=colour, label=name) for name, colour in colours.items()]
    part.legend(handles=handles, loc="outside upper center", ncols=4, fontsize=7.5, frameon=False)
    bounded = [rate for rate in rates if rate.bounded]
    met = f"{sum(not rate.missed for rate in bounded)} of {len(bounded)} rates are as they have to be"
    title = f"Do verdicts hold what they promise? {met}."
    made.suptitle(fill(title, 85), x=0.01, ha="left", fontsize=10, fontweight="bold")
    say_within(
        made,
        f"Counted in {_span([rate.simulations for rate in rates])} simulations each, of data sets with a known "
        "difference between two variants (colour: what they are like), by the code that compares runs. Green: what a "
        "rate has to be; rows without green are for comparison. Circles: a fixed number of seeds, more further down; "
        "triangles: several looks, or seeds added until decided. Lines: 95 % intervals of the counting. Red ring: not "
        "as it has to be. A: on this data set; B: on new graphs of the same kind.",
        size=7.5,
    )
    return Picture(made, f"Rates counted in simulations by `make calibration`: {met}.")


def _rows(rates: Sequence[Rate]) -> list[list[Rate]]:
    """By what is counted and its bounds; A comes before B."""
    ordered = sorted(rates, key=lambda rate: rate.row)
    return [list(row) for _, row in groupby(ordered, key=lambda rate: rate.row)]


def _draw(axis: Axes, title: str, rows: Sequence[Sequence[Rate]], colours: dict[str, Colour]) -> None:
    """One panel, with a mark for each population and number of seeds."""
    percent, from_zero = title != SEEDS, title in (ERRORS, SEEDS)
    values = [rate.value for row in rows for rate in row]
    right = 1.25 * np.nanmax([*values, *(rate.highest for row in rows for rate in row)]) if from_zero else 1.0
    left = 0.0 if from_zero else max(0.0, min(values) - 0.05)
    for place, row in enumerate(rows):
        if row[0].bounded:
            low, high = (np.nan_to_num(row[0].lowest), np.nan_to_num(row[0].highest, nan=right))
            # A bound of zero is seen, too.
            high = max(high, low + 0.004 * right)
            axis.fill_between([low, high], place - 0.42, place + 0.42, color=ALLOWED, lw=0, zorder=0)
        for height, rate in zip(place + np.linspace(-0.3, 0.3, 2 * len(row) + 1)[1::2], row, strict=True):
            colour = colours[rate.population]
            if percent:
                counted = proportion_confint(rate.value * rate.simulations, rate.simulations, method="wilson")
                axis.plot(counted, [height] * 2, color=colour, lw=0.8)
            marker = "o" if rate.seeds.isdigit() else "^"
            axis.plot(rate.value, height, marker, color=colour, ms=4, clip_on=False)
            if rate.missed:
                axis.plot(rate.value, height, "o", ms=9, mfc="none", mec=WRONG, mew=1.2, clip_on=False)
    axis.set_title(title, fontsize=8.5, loc="left", fontweight="bold")
    axis.set_yticks(range(len(rows)), [fill(_label(row), 46) for row in rows], fontsize=7.5)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlim(left, right)
    axis.tick_params(axis="x", labelsize=7.5)
    axis.grid(axis="y", visible=False)
    if percent:
        axis.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    if title == INTERVALS:
        axis.axvline(0.95, color=INK, lw=0.8, ls=":")


def _label(row: Sequence[Rate]) -> str:
    """What is counted; where that is of one population or number of seeds only, of which."""
    populations, seeds = {rate.population for rate in row}, {rate.seeds for rate in row}
    only = [*populations] if len(populations) == 1 else []
    only += [f"{n} seeds" for n in seeds if len(seeds) == 1 and n.isdigit()]
    return row[0].what.replace("`", "'") + (f" ({', '.join(only)})" if only else "")


def _read(file: Path) -> list[Rate]:
    """The table, by rows."""
    anew = "`make calibration` writes it anew."
    try:
        table = pd.read_csv(file, dtype=dict.fromkeys(WORDS, str) | dict.fromkeys(NUMBERS, float))
    except FileNotFoundError as error:
        raise UserError(
            "There are no runs of the simulations that count errors; `make calibration` makes them."
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({' '.join(str(error).split())}); {anew}") from error
    lacking = [name for name in (*WORDS, *NUMBERS) if name not in table]
    if lacking:
        raise UserError(f"{file} lacks {', '.join(lacking)}; {anew}")
    filled = table[[*WORDS, "value", "simulations"]].notna().all(axis=None) and np.isfinite(table["value"]).all()
    if not (len(table) and filled and (table["simulations"] >= 1).all()):
        raise UserError(f"{file} has no rates, or some without a value; {anew}")
    rates = [Rate(*row) for row in zip(*(table[name].tolist() for name in (*WORDS, *NUMBERS)), strict=True)]
    if not any(rate.panel for rate in rates) or any(
        rate.panel not in (None, SEEDS) and not 0 <= rate.value <= 1 for rate in rates
    ):
        raise UserError(f"{file} has no rates with bounds, or some that are not from 0 to 1; {anew}")
    return rates


def _span(counts: Sequence[float]) -> str:
    low, high = int(min(counts)), int(max(counts))
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
