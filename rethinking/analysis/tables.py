"""The paper's tables, and those of other suites, from our runs; with the published values beside them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import yaml
from omegaconf import OmegaConf

from rethinking import paths
from rethinking.analysis.comparisons import Question, question
from rethinking.analysis.statistics import (
    PairedDifference,
    Summary,
    p_equivalence,
    paired_difference,
    summarise,
)
from rethinking.analysis.suites import load_suite, suite_names
from rethinking.analysis.tidy import Results
from rethinking.analysis.units import UNITS, Unit, unit_of
from rethinking.configuration.cell import PAPER, Cell
from rethinking.configuration.composition import compose_cell
from rethinking.errors import UserError

# How many seeds the paper has.
PUBLISHED_SEEDS = 20
BEST, ALIKE = "▲", "≈"


@dataclass(frozen=True)
class Published:
    """A value of the paper. std: NaN where it is not printed. certainty: how sure its reading is."""

    mean: float
    std: float
    certainty: str


@dataclass(frozen=True)
class TableCell:
    """One cell of a table. ours, published: in the table's unit; ours is None where nothing is trained.

    mark: whether it is the best of its column, or shown to be equivalent to the best; else empty.
    """

    row: str
    dataset: str
    unit: Unit
    cited: bool
    seeds_done: int
    seeds_wanted: int
    ours: Summary | None
    published: Published | None
    mark: str = ""

    @property
    def off(self) -> float | None:
        """Ours minus published."""
        return self.ours.mean - self.published.mean if self.ours and self.published else None

    @property
    def off_error(self) -> float:
        """The standard error of `off`: the two means are of independent seeds on the same data.

        Where no deviation is printed, ours stands for it. NaN for one seed.
        """
        if self.ours is None or self.published is None:
            return math.nan
        theirs = self.ours.std if math.isnan(self.published.std) else self.published.std
        return math.sqrt(self.ours.std**2 / self.ours.n + theirs**2 / PUBLISHED_SEEDS)


@dataclass(frozen=True)
class RowDifference:
    """The paired difference of two rows in one column, in the table's unit; None while a side is missing."""

    dataset: str
    unit: Unit
    difference: PairedDifference | None


@dataclass(frozen=True)
class Table:
    """A table: its cells in reading order, and comparisons of pairs of its rows.

    cells: by row and column. comparisons: by the pair of rows, then by column.
    """

    name: str
    title: str
    fidelity: str
    rows: list[str]
    columns: list[str]
    cells: dict[tuple[str, str], TableCell]
    comparisons: dict[tuple[str, str], dict[str, RowDifference]]


def table_names() -> list[str]:
    """The tables of the paper that are made from runs."""
    return [name.removeprefix("table") for name in suite_names() if name.startswith("table")]


def make_table(name: str, results: Results, fidelity: str = PAPER) -> Table:
    """A table of the paper, or the cells of another suite, from finished runs of one fidelity.

    Raises UserError for one there is not.
    """
    suite = load_suite(name)
    asked = question()
    cells: dict[tuple[str, str], TableCell] = {}
    comparisons: dict[tuple[str, str], dict[str, RowDifference]] = {pair: {} for pair in suite.compare}
    for dataset, title in suite.columns.items():
        trained = {
            row: compose_cell([*overrides, f"dataset={dataset}", f"fidelity={fidelity}"])
            for row, overrides in suite.rows.items()
            if overrides is not None
        }
        scores = {row: suite_scores(cell, results, suite.seeds) for row, cell in trained.items()}
        marks = _marks(trained, scores, asked)
        published = {row: _published(suite.table, row, title) for row in suite.rows}
        task = next(iter(trained.values())).task()
        unit = unit_of(task.metric)
        for row in suite.rows:
            values = scores.get(row, pd.Series(dtype=float))
            cells[row, title] = TableCell(
                row=row,
                dataset=title,
                unit=unit,
                cited=row not in trained,
                seeds_done=len(values),
                seeds_wanted=suite.seeds,
                ours=summarise(values.to_numpy()) if len(values) else None,
                published=published[row],
                mark=marks.get(row, ""),
            )
        for first, second in suite.compare:
            difference = compare_cells(trained[first], scores[first], scores[second])
            comparisons[first, second][title] = RowDifference(title, unit, difference)
    rows, columns = list(suite.rows), list(suite.columns.values())
    return Table(suite.table, suite.title, fidelity, rows, columns, cells, comparisons)


def suite_scores(cell: Cell, results: Results, seeds: int) -> pd.Series:
    """The test scores of a cell's first seeds in the unit that is shown, indexed by seed.

    On one content of its data set: the mirror's, or the one with the most seeds.
    """
    unit = unit_of(cell.task().metric)
    known = results.cell_with_runs(cell)
    values = results.scores(known, unit.metric) if known else pd.Series(dtype=float)
    return unit.scale * values[values.index.isin(range(seeds))]


def compare_cells(cell: Cell, first: pd.Series, second: pd.Series) -> PairedDifference | None:
    """The paired difference of two cells on the seeds that both have. first, second: scores indexed by seed.

    cell: either of them; its split says whether the seeds share graphs.
    """
    both = first.index.intersection(second.index)
    if both.empty:
        return None
    return paired_difference(first[both].to_numpy(), second[both].to_numpy(), cell.splitter().test_to_train)


def table_texts(table: Table) -> pd.DataFrame:
    """The text of every cell, for any form of output; lines are divided by line breaks."""
    texts = [[row, *(_cell_text(table.cells[row, column]) for column in table.columns)] for row in table.rows]
    for (first, second), by_column in table.comparisons.items():
        differences = [_comparison_text(by_column[column]) for column in table.columns]
        texts.append([f"{first} − {second}", *differences])
    return pd.DataFrame(texts, columns=["", *table.columns])


def long_frame(table: Table) -> pd.DataFrame:
    """The table as a tidy data frame, a row a cell."""
    rows: list[dict[str, Any]] = []
    for cell in table.cells.values():
        ours, published = cell.ours, cell.published
        rows.append(
            {
                "row": cell.row,
                "dataset": cell.dataset,
                "metric": cell.unit.metric,
                "mean": ours.mean if ours else None,
                "std": ours.std if ours else None,
                "seeds": ours.n if ours else 0,
                "best": {BEST: "best", ALIKE: "equivalent to the best"}.get(cell.mark, ""),
                "published_mean": published.mean if published else None,
                "published_std": published.std if published else None,
                "published_certainty": published.certainty if published else None,
                "difference": cell.off,
                "difference_standard_error": cell.off_error if cell.off is not None else None,
            }
        )
    return pd.DataFrame(rows)


def caption(table: Table) -> str:
    """What the numbers are."""
    cited = list(dict.fromkeys(cell.row for cell in table.cells.values() if cell.cited))
    source = f" ({' and '.join(cited)}: cited by the paper)" if cited else ""
    fidelity = "" if table.fidelity == PAPER else f" These runs follow fidelity={table.fidelity} (docs/fidelity.md)."
    published = any(cell.published for cell in table.cells.values())
    beside = (
        f"In brackets the published value{source}, with ~ where its reading is not certain; below it ours minus "
        "published with the standard error of that. "
    )
    margin = question().margin
    return (
        "Mean ± standard deviation of the test score over the seeds, at each seed's best validation epoch. "
        f"{beside if published else ''}"
        f"{BEST}: the best mean of its column; {ALIKE}: equivalent to it (two one-sided tests paired by seed, margin "
        f"{100 * margin['accuracy']:g} point or {margin['mae']:g} of MAE, for each cell by itself). "
        "Last rows: mean difference of two rows paired by seed, with its 95 % interval (Student's t; where every seed "
        f"splits the same graphs anew, with the variance of Nadeau and Bengio 2003).{fidelity}"
    )


def missing_cells(table: Table) -> Sequence[TableCell]:
    """The cells that lack seeds."""
    return [cell for cell in table.cells.values() if not cell.cited and cell.seeds_done < cell.seeds_wanted]


def hyperparameter_tables() -> list[str]:
    """The tables of the paper that are made from the configuration alone."""
    return list(_hyperparameters())


def hyperparameters(name: str) -> tuple[str, pd.DataFrame]:
    """The title of Table S2, S3 or S4 and what it shows of `conf/model`. Raises UserError for another."""
    known = _hyperparameters()
    if name not in known:
        raise UserError(f"There is no table '{name}'; expected one of {', '.join(known)}.")
    spec = known[name]
    rows = []
    for dataset in spec["datasets"]:
        cell = compose_cell([f"model={spec['model']}", "pooling=learned", f"dataset={dataset}"])
        parts = OmegaConf.create({"network": cell.network, "select": cell.select, "trainer": vars(cell.trainer)})
        values = {column: str(OmegaConf.select(parts, key)) for column, key in spec["columns"].items()}
        rows.append({"data set": cell.dataset.title} | values)
    return spec["title"], pd.DataFrame(rows)


def _hyperparameters() -> dict[str, Any]:
    return yaml.safe_load((paths.CONF / "hyperparameters.yaml").read_text())


def _published(table: str, row: str, title: str) -> Published | None:
    values = _published_values()
    known = values[(values["table"] == table) & (values["row"] == row) & (values["dataset"] == title)]
    if known.empty:
        return None
    first = known.iloc[0]
    assert first["metric"] in UNITS
    return Published(float(first["mean"]), float(first["std"]), str(first["certainty"]))


@cache
def _published_values() -> pd.DataFrame:
    return pd.read_csv(paths.PUBLISHED, dtype={"table": str})


def _marks(cells: dict[str, Cell], scores: dict[str, pd.Series], asked: Question) -> dict[str, str]:
    """Which row of a column is the best, and which are equivalent to it. Nothing while there is one row only."""
    means = {row: values.mean() for row, values in scores.items() if len(values) > 1}
    if len(means) < 2:
        return {}
    task = next(iter(cells.values())).task()
    unit = unit_of(task.metric)
    best = (max if task.higher_is_better else min)(means, key=lambda row: means[row])
    marks = {best: BEST}
    for row in means:
        difference = compare_cells(cells[row], scores[row], scores[best]) if row != best else None
        margin = unit.scale * asked.margin.get(task.metric, math.inf)
        if difference is not None and p_equivalence(difference, margin) < asked.level:
            marks[row] = ALIKE
    return marks


def _cell_text(cell: TableCell) -> str:
    lines = []
    if cell.ours:
        lines.append(f"{cell.unit.show(cell.ours.mean, cell.ours.std)} {cell.mark}".strip())
    if not cell.cited and cell.seeds_done < cell.seeds_wanted:
        lines.append(f"{cell.seeds_done}/{cell.seeds_wanted} seeds" if cell.ours else f"missing, 0/{cell.seeds_wanted}")
    if cell.published:
        text = f"{cell.published.mean:g}"
        text += "" if np.isnan(cell.published.std) else f" ± {cell.published.std:g}"
        # Read off the order of numbers in a text, or concluded from others.
        certain = cell.published.certainty in ("printed", "stated in the text")
        lines.append(f"({'' if certain else '~'}{text})")
    if cell.off is not None:
        error = "" if np.isnan(cell.off_error) else f" (se {cell.off_error:.{cell.unit.digits}f})"
        lines.append(f"off by {cell.off:+.{cell.unit.digits}f}{error}")
    return "\n".join(lines) or "—"


def _comparison_text(comparison: RowDifference) -> str:
    if comparison.difference is None:
        return "—"
    return comparison.unit.difference(comparison.difference, "\n")
