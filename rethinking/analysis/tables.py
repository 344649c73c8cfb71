"""The paper's tables from our runs, with the published values beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import yaml

from rethinking import paths
from rethinking.analysis.statistics import PairedDifference, Summary, paired_difference, summarise
from rethinking.analysis.tidy import Results
from rethinking.analysis.units import UNITS, Unit
from rethinking.composition import compose_cell, options
from rethinking.config import PAPER, Cell
from rethinking.errors import UserError
from rethinking.runs.identity import cell_id


@dataclass(frozen=True)
class TableCell:
    """One cell of a table. ours, published: in the table's unit; ours is None where nothing is trained."""

    row: str
    dataset: str
    unit: Unit
    cited: bool
    seeds_done: int
    seeds_wanted: int
    ours: Summary | None
    published: Summary


@dataclass(frozen=True)
class Comparison:
    """The paired difference of two rows in one column, in the table's unit; None while a side is missing."""

    dataset: str
    unit: Unit
    difference: PairedDifference | None


@dataclass(frozen=True)
class Table:
    """A table of the paper: its cells in reading order, and comparisons of pairs of its rows.

    cells: by row and column. comparisons: by the pair of rows, then by column.
    """

    title: str
    fidelity: str
    rows: list[str]
    columns: list[str]
    cells: dict[tuple[str, str], TableCell]
    comparisons: dict[tuple[str, str], dict[str, Comparison]]


def table_names() -> list[str]:
    """The tables there are."""
    return list(_specifications())


def make_table(name: str, results: Results, fidelity: str = PAPER) -> Table:
    """Table `name` of the paper from finished runs of one fidelity. Raises UserError for a table there is not."""
    specifications = _specifications()
    if name not in specifications:
        raise UserError(f"There is no table '{name}'; expected one of {', '.join(specifications)}.")
    spec = specifications[name]
    published = pd.read_csv(paths.PUBLISHED, dtype={"table": str}).query("table == @name")
    cells, scores = {}, {}
    comparisons: dict[tuple[str, str], dict[str, Comparison]] = {tuple(pair): {} for pair in spec["compare"]}
    for dataset, title in spec["columns"].items():
        trained: dict[str, Cell] = {}
        for row, overrides in spec["rows"].items():
            known = published[(published["row"] == row) & (published["dataset"] == title)].iloc[0]
            unit = UNITS[known["metric"]]
            values = pd.Series(dtype=float)
            if overrides != "cited" and dataset in options("dataset"):
                trained[row] = compose_cell([*overrides, f"dataset={dataset}", f"fidelity={fidelity}"])
                values = _scores(trained[row], results, unit)
                values = values[values.index.isin(range(spec["seeds"]))]
            scores[row] = values
            cells[row, title] = TableCell(
                row=row,
                dataset=title,
                unit=unit,
                cited=overrides == "cited",
                seeds_done=len(values),
                seeds_wanted=spec["seeds"],
                ours=summarise(values.to_numpy()) if len(values) else None,
                published=Summary(0, known["mean"], known["std"]),
            )
        for (first, second), by_column in comparisons.items():
            difference = compare_cells(trained[first], scores[first], scores[second]) if first in trained else None
            by_column[title] = Comparison(title, unit, difference)
    return Table(spec["title"], fidelity, list(spec["rows"]), list(spec["columns"].values()), cells, comparisons)


def compare_cells(cell: Cell, first: pd.Series, second: pd.Series) -> PairedDifference | None:
    """The paired difference of two cells on the seeds that both have. first, second: scores indexed by seed.

    cell: either of them; its split says whether the seeds share graphs.
    """
    both = first.index.intersection(second.index)
    if both.empty:
        return None
    return paired_difference(first[both].to_numpy(), second[both].to_numpy(), cell.splitter().test_to_train)


def markdown(table: Table) -> str:
    """The table as Markdown."""
    frame = pd.DataFrame(table_texts(table, "<br>"), columns=["", *table.columns])
    return f"### {table.title}\n\n{frame.to_markdown(index=False)}\n\n{caption(table)}\n"


def table_texts(table: Table, line_break: str) -> list[list[str]]:
    """The text of every cell, a list a row, for any form of output."""
    texts = [
        [row, *(_cell_text(table.cells[row, column], line_break) for column in table.columns)] for row in table.rows
    ]
    for (first, second), by_column in table.comparisons.items():
        differences = [_comparison_text(by_column[column], line_break) for column in table.columns]
        texts.append([f"{first} − {second}", *differences])
    return texts


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
                "published_mean": published.mean,
                "published_std": published.std,
                "difference": ours.mean - published.mean if ours else None,
            }
        )
    return pd.DataFrame(rows)


def caption(table: Table) -> str:
    """What the numbers are."""
    cited = [cell.row for cell in table.cells.values() if cell.cited]
    source = f" ({' and '.join(dict.fromkeys(cited))}: cited by the paper)" if cited else ""
    fidelity = "" if table.fidelity == PAPER else f" These runs follow fidelity={table.fidelity} (docs/fidelity.md)."
    return (
        "Mean ± standard deviation of the test score over the seeds, at each seed's best validation epoch; "
        f"in brackets the published value{source}, below it ours minus published. "
        "Last rows: mean difference of two rows paired by seed, with its 95 % interval (Student's t; where every seed "
        f"splits the same graphs anew, with the variance of Nadeau and Bengio 2003).{fidelity}"
    )


def _scores(cell: Cell, results: Results, unit: Unit) -> pd.Series:
    """The scores of a cell on one content of its data set: the mirror's, else the one with the most seeds."""
    known = results.fingerprints(cell.dataset.name)
    candidates = [source.fingerprint for source in cell.dataset.sources if source.fingerprint] + known
    found = [results.scores(cell_id(cell, fingerprint), unit.metric) for fingerprint in dict.fromkeys(candidates)]
    return unit.scale * max(found, key=len, default=pd.Series(dtype=float))


def _cell_text(cell: TableCell, line_break: str) -> str:
    published = f"{cell.published.mean:g}"
    if not np.isnan(cell.published.std):
        published += f" ± {cell.published.std:g}"
    lines = []
    if cell.ours:
        lines.append(cell.unit.show(cell.ours.mean, cell.ours.std))
    if not cell.cited and cell.seeds_done < cell.seeds_wanted:
        lines.append(f"{cell.seeds_done}/{cell.seeds_wanted} seeds" if cell.ours else f"missing, 0/{cell.seeds_wanted}")
    lines.append(f"({published})")
    if cell.ours:
        lines.append(f"off by {cell.ours.mean - cell.published.mean:+.{cell.unit.digits}f}")
    return line_break.join(lines)


def _comparison_text(comparison: Comparison, line_break: str) -> str:
    if comparison.difference is None:
        return "—"
    return difference_text(comparison.difference, comparison.unit.digits, line_break)


def difference_text(difference: PairedDifference, digits: int, line_break: str = " ") -> str:
    """A paired difference with its interval."""
    text = f"{difference.mean:+.{digits}f}"
    if difference.n > 1:
        text += f"{line_break}[{difference.low:+.{digits}f}, {difference.high:+.{digits}f}]"
    return text


def _specifications() -> dict[str, Any]:
    return yaml.safe_load((paths.PACKAGE / "analysis" / "tables.yaml").read_text())


def missing_cells(table: Table) -> Sequence[TableCell]:
    """The cells that lack seeds."""
    return [cell for cell in table.cells.values() if not cell.cited and cell.seeds_done < cell.seeds_wanted]
