"""The paper's tables, and those of other suites, from our runs; with the published values beside them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from rethinking import paths
from rethinking.analysis.comparisons import Comparison, on_this_data
from rethinking.analysis.inference.estimates import Estimate
from rethinking.analysis.inference.verdicts import Finding
from rethinking.analysis.older import MARK, MEANING
from rethinking.analysis.questions import question
from rethinking.analysis.scores import NONE, Scores, suite_scores
from rethinking.analysis.statistics import Summary, summarise
from rethinking.analysis.suites import load_suite
from rethinking.analysis.tidy import Results
from rethinking.analysis.wording import margin_texts
from rethinking.configuration.cell import PAPER
from rethinking.configuration.composition import compose_cell
from rethinking.errors import UserError
from rethinking.own_files import own_file
from rethinking.tasks.task import Measure, Unit

# The columns of the published values that make a `Published`, in its order.
PRINTED = ("mean", "std", "seeds", "certainty")
LAST_ROWS = (
    "Last rows: the first row's mean minus the second's, paired by seed, with the {confidence:.0%} interval on this "
    "data set (Student's t); of an error, less is better."
)
# What a comparison that is decided says of a cell, and what that means.
BETTER, ALIKE, NOT_WORSE = "▲", "≈", "≥"
MEANINGS = {
    BETTER: "better than the variant that it is compared with",
    ALIKE: "does not matter, non-local against local",
    NOT_WORSE: "local not needed: non-local is not worse by the margin",
}


@dataclass(frozen=True)
class Published:
    """A value of the paper. std: NaN where it is not printed. seeds: NaN for one that it cites, which does not say.

    certainty: how sure its reading is.
    """

    mean: float
    std: float
    seeds: float
    certainty: str


@dataclass(frozen=True)
class TableCell:
    """One cell of a table. ours, published: in the table's unit; ours is None where nothing is trained.

    seeds_done: of those that are shown. older: whether these are of schema 1. mark: the verdict of `rethinking compare`
    on it, if it is decided; else empty.
    """

    row: str
    dataset: str
    measure: Measure
    cited: bool
    seeds_done: int
    seeds_wanted: int
    older: bool
    ours: Summary | None
    published: Published | None
    mark: str = ""

    @property
    def unit(self) -> Unit:
        """The unit of its numbers."""
        return self.measure.unit

    @property
    def off(self) -> float | None:
        """Ours minus published."""
        return self.ours.mean - self.published.mean if self.ours and self.published else None

    @property
    def off_error(self) -> float:
        """The standard error of `off`: the two means are of independent seeds on the same data.

        Where no deviation is printed, ours stands for it. NaN for one seed, and where theirs are not known.
        """
        if self.ours is None or self.published is None:
            return math.nan
        theirs = self.ours.std if math.isnan(self.published.std) else self.published.std
        return math.sqrt(self.ours.std**2 / self.ours.n + theirs**2 / self.published.seeds)


@dataclass(frozen=True)
class RowDifference:
    """The paired difference of two rows in one column, in the table's unit; None while a side is missing."""

    dataset: str
    unit: Unit
    difference: Estimate | None


@dataclass(frozen=True)
class Table:
    """A table: its cells in reading order, and comparisons of pairs of its rows.

    note: what is known of its rows. cells: by row and column. comparisons: by the pair of rows, then by column.
    margins: in words, those of the comparisons that its marks are of.
    """

    name: str
    title: str
    note: str
    fidelity: str
    rows: list[str]
    columns: list[str]
    cells: dict[tuple[str, str], TableCell]
    comparisons: dict[tuple[str, str], dict[str, RowDifference]]
    margins: list[str]


def make_table(name: str, results: Results, fidelity: str = PAPER) -> Table:
    """A table of the paper, or the cells of another suite, from finished runs of one fidelity.

    Raises UserError for one there is not.
    """
    suite = load_suite(name)
    marks = _marks(results, fidelity)
    ids: set[str] = set()
    cells: dict[tuple[str, str], TableCell] = {}
    comparisons: dict[tuple[str, str], dict[str, RowDifference]] = {pair: {} for pair in suite.compare}
    for dataset, title in suite.columns.items():
        trained = {
            row: compose_cell([*overrides, f"dataset={dataset}", f"fidelity={fidelity}"])
            for row, overrides in suite.rows.items()
            if overrides is not None
        }
        scores = {row: suite_scores(cell, results, suite.seeds) for row, cell in trained.items()}
        ids |= {own.id for own in scores.values()}
        measure = next(iter(trained.values())).task().measure
        for row in suite.rows:
            own = scores.get(row, NONE)
            cells[row, title] = TableCell(
                row=row,
                dataset=title,
                measure=measure,
                cited=row not in trained,
                seeds_done=len(own),
                seeds_wanted=suite.seeds,
                older=own.older,
                ours=summarise(own.values.to_numpy()) if len(own) else None,
                published=_published().get((suite.label, row, title)),
                mark=_mark(marks, own, scores),
            )
        for first, second in suite.compare:
            difference = scores[first].minus(scores[second])
            comparisons[first, second][title] = RowDifference(title, measure.unit, difference)
    rows, columns = list(suite.rows), list(suite.columns.values())
    margins = margin_texts([c for c in marks if {c.local, c.other} <= ids])
    return Table(suite.label, suite.title, suite.note, fidelity, rows, columns, cells, comparisons, margins)


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
                "metric": cell.measure.metric,
                "mean": ours.mean if ours else None,
                "std": ours.std if ours else None,
                "seeds": ours.n if ours else 0,
                "schema 1": cell.older,
                "mark": "; ".join(MEANINGS[mark] for mark in cell.mark),
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
    fidelity = "" if table.fidelity == PAPER else f"These runs follow fidelity={table.fidelity} (docs/fidelity.md)."
    published = any(cell.published for cell in table.cells.values())
    beside = (
        f"In brackets the published value{source}, with ~ where its reading is not certain; below it ours minus "
        "published with the standard error of that."
    )
    sentences = [
        "Mean ± standard deviation of the test score over the seeds, at each seed's best validation epoch.",
        beside if published else "",
        _marks_text(table, " or ".join(table.margins)),
        LAST_ROWS.format(confidence=question().confidence) if table.comparisons else "",
        table.note,
        fidelity,
        MEANING if any(cell.older for cell in table.cells.values()) else "",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def missing_cells(table: Table) -> Sequence[TableCell]:
    """The cells that show fewer seeds than wanted."""
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
    return own_file("hyperparameters")


@cache
def _published() -> dict[tuple[str, str, str], Published]:
    """By table, row and data set."""
    values = pd.read_csv(paths.PUBLISHED, dtype={"table": str}).to_dict("records")
    return {
        (value["table"], value["row"], value["dataset"]): Published(*(value[name] for name in PRINTED))
        for value in values
    }


def _marks(results: Results, fidelity: str) -> list[Comparison]:
    """What is decided of local and non-local variants on these data sets."""
    made, _ = on_this_data(results, question())
    return [c for c in made if c.fidelity == fidelity and c.verdict.decided]


def _mark(decided: Sequence[Comparison], own: Scores, column: dict[str, Scores]) -> str:
    """What those comparisons say of a cell whose two cells are in its column."""
    ids = {scores.id for scores in column.values() if len(scores)}
    marks = dict.fromkeys(mark for c in decided if {c.local, c.other} <= ids and (mark := _says(c, own.id)))
    return "".join(mark for mark in MEANINGS if mark in marks)


def _says(c: Comparison, id: str) -> str:
    verdict = c.verdict
    if verdict.finding in (Finding.RELEVANT, Finding.DIFFERENT):
        return BETTER if id == (c.other if verdict.other else c.local) else ""
    return {Finding.EQUIVALENT: ALIKE, Finding.NOT_WORSE: NOT_WORSE}[verdict.finding] if id == c.other else ""


def _marks_text(table: Table, margins: str) -> str:
    """What the marks mean that a table has."""
    found = {mark for cell in table.cells.values() for mark in cell.mark}
    texts = [f"{mark}: {meaning}" for mark, meaning in MEANINGS.items() if mark in found]
    if not texts:
        return ""
    return f"{'; '.join(texts)} (verdicts of `rethinking compare`, margin {margins}, from all seeds that there are)."


def _cell_text(cell: TableCell) -> str:
    lines = []
    if cell.ours:
        older = MARK if cell.older else ""
        lines.append(f"{cell.unit.show(cell.ours.mean, cell.ours.std)}{older} {cell.mark}".strip())
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
        lines.append(f"off by {cell.unit.signed(cell.off)}{error}")
    return "\n".join(lines) or "—"


def _comparison_text(comparison: RowDifference) -> str:
    d = comparison.difference
    return comparison.unit.interval(d.mean, *d.interval(question().confidence), "\n") if d else "—"
