"""The files of a results folder, `results/`.

runs.csv                   a row a run, split and metric
provenance.csv             a row a run: versions, commit, machine, time
cells.yaml                 the scientific configuration of every cell
histories/CELL.parquet     a row a run and epoch: learning curves
predictions/CELL.parquet   a row a run and graph, see `runs/predictions.py`
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from rethinking.errors import UserError
from rethinking.runs.identity import is_name

KEYS = ["run_id", "cell_id", "family", "variant", "dataset", "fidelity", "seed"]
COLUMNS = [*KEYS, "split", "metric", "value"]
ORDER = ["dataset", "family", "variant", "fidelity", "cell_id", "seed"]


@dataclass(frozen=True)
class Collected:
    """What a results folder has. cells: what is kept of every cell, by its id, as data of whoever made it."""

    folder: Path
    runs: pd.DataFrame
    provenance: pd.DataFrame
    cells: dict[str, dict[str, Any]]


def read_collected(folder: Path) -> Collected:
    """The tables of a results folder; empty ones if it has none. Raises UserError for files that are damaged."""
    runs, provenance = pd.DataFrame(columns=COLUMNS), pd.DataFrame(columns=["run_id"])
    if (folder / "runs.csv").is_file():
        runs = _read_csv(folder / "runs.csv", COLUMNS)
        provenance = _read_csv(folder / "provenance.csv", ["run_id", "schema"])
        for column in ("cell_id", "run_id"):
            improper = runs.loc[~runs[column].map(is_name), column]
            if len(improper):
                raise UserError(f"{folder / 'runs.csv'} has the {column} {improper.iloc[0]!r}, which names no run.")
        if not pd.api.types.is_integer_dtype(runs["seed"]) or not pd.api.types.is_numeric_dtype(runs["value"]):
            raise UserError(f"{folder / 'runs.csv'} has a seed or value that is no number.")
    return Collected(folder, runs, provenance, _read_cells(folder))


def write_collected(collected: Collected) -> None:
    """Write the tables, in an order that does not hang on how they came about."""
    folder = collected.folder
    runs = collected.runs.sort_values([*ORDER, "split", "metric"])
    _write(folder / "runs.csv", runs.to_csv(index=False))
    by_run = runs.drop_duplicates("run_id")["run_id"]
    # A run whose provenance was lost keeps a row, an empty one.
    provenance = collected.provenance.set_index("run_id").reindex(by_run).reset_index()
    _write(folder / "provenance.csv", provenance.to_csv(index=False))
    _write(folder / "cells.yaml", yaml.safe_dump(collected.cells, sort_keys=True))


def history_file(folder: Path, cell_id: str) -> Path:
    """Where the learning curves of a cell lie."""
    return folder / "histories" / f"{cell_id}.parquet"


def predictions_file(folder: Path, cell_id: str) -> Path:
    """Where the predictions of a cell lie."""
    return folder / "predictions" / f"{cell_id}.parquet"


def _read_cells(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / "cells.yaml"
    try:
        # The loader in C reads a large file in a moment; like the safe one it makes nothing but data.
        cells = yaml.load(path.read_text(), yaml.CSafeLoader) if path.is_file() else {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path} cannot be read ({reason}); restore it or name another folder with --results."
        ) from error
    if not isinstance(cells, dict):
        raise UserError(f"{path} holds no cells; restore it or name another folder with --results.")
    return {id: stored for id, stored in cells.items() if is_name(id) and isinstance(stored, dict)}


def _read_csv(path: Path, needed: list[str]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); restore it or name another folder with --results."
        ) from error
    missing = [column for column in needed if column not in frame]
    if missing:
        raise UserError(
            f"{path} lacks the columns {', '.join(missing)}; restore it or name another folder with --results."
        )
    return frame


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)
