"""The record of a finished run: what is kept of it, and the forms in which the store writes it down."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from rethinking import paths
from rethinking.configuration.cell import Cell
from rethinking.runs.identity import SCHEMA, is_name, run_id
from rethinking.tasks.task import Measure

if TYPE_CHECKING:
    from torch import Tensor

# What every reader of a record relies on, of a failed run and of a finished one.
HEAD = ("run_id", "cell_id", "schema", "family", "variant", "dataset", "fidelity", "seed")

# What the names of the measures of a run's assignments begin with, in its record.
DIAGNOSTIC = "diagnostic_"


@dataclass(frozen=True)
class RunRecord:
    """A finished run.

    head: what names it, `HEAD`. cell: what was trained, as `cell_record` has it; alike for all seeds of a cell.
    scores: of the best epoch: train_loss, and of val and test the loss and the metric. diagnostics: measures of its
    clusters on test graphs. provenance: its epochs, time, versions, machine. history: a row an epoch.
    predictions: of the best epoch, see `runs/predictions.py`. weights: None unless they are to be kept.
    """

    head: dict[str, Any]
    cell: dict[str, Any]
    scores: dict[str, float]
    history: pd.DataFrame
    predictions: pd.DataFrame
    diagnostics: dict[str, float] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    weights: "dict[str, Tensor] | None" = None

    @property
    def config(self) -> dict[str, Any]:
        """What stands in `config.yaml`."""
        return {**self.cell, "seed": self.head["seed"]}

    @property
    def result(self) -> dict[str, Any]:
        """What stands in `result.json`, flat."""
        measured = {f"{DIAGNOSTIC}{name}": value for name, value in self.diagnostics.items()}
        metric = self.cell["measure"]["metric"]
        return {**self.head, "metric": metric, **self.scores, **measured, **self.provenance}


def head_of(cell: Cell, cell_id: str, seed: int) -> dict[str, Any]:
    """What names a run, `HEAD`."""
    return {
        "run_id": run_id(cell_id, seed),
        "cell_id": cell_id,
        "schema": SCHEMA,
        "family": cell.family,
        "variant": cell.variant,
        "dataset": cell.dataset.name,
        "fidelity": cell.fidelity,
        "seed": seed,
    }


def cell_record(cell: Cell, fingerprint: str | None, measure: Measure, test_to_train: float) -> dict[str, Any]:
    """What is kept of a cell: its configuration, and as plain data all that an analysis needs of its task and split.

    fingerprint: of the data set's content. test_to_train: see `Splitter`.
    """
    return {
        "schema": SCHEMA,
        "fingerprint": fingerprint,
        "measure": asdict(measure),
        "test_to_train": test_to_train,
        "cell": asdict(cell),
    }


def checked(record: Any, run: str) -> dict[str, Any]:
    """A `result.json` that was read from the directory of a run. Raises ValueError, with the reason, if it is none."""
    check_head(record, run)
    missing = [key for key in ("metric", "files") if key not in record]
    if missing:
        raise ValueError(f"result.json lacks {', '.join(missing)}")
    scores = [f"{split}_{name}" for split in ("val", "test") for name in ("loss", record["metric"])]
    for name in ("train_loss", *scores):
        if not isinstance(record.get(name), (int, float)):
            raise ValueError(f"result.json has no number for {name}")
    return record


def check_head(record: Any, run: str) -> None:
    """Raises ValueError, with the reason, if something that was read is not the record of this run."""
    if not isinstance(record, dict):
        raise ValueError("result.json is not a record")
    missing = [key for key in HEAD if key not in record]
    if missing:
        raise ValueError(f"result.json lacks {', '.join(missing)}")
    if record["run_id"] != run:
        raise ValueError(f"result.json belongs to run {record['run_id']}")
    if not is_name(record["cell_id"]) or type(record["seed"]) is not int or type(record["schema"]) is not int:
        raise ValueError("result.json has no proper cell, seed and schema")
    if record["run_id"] != run_id(record["cell_id"], record["seed"]):
        raise ValueError(f"result.json is of cell {record['cell_id']} and seed {record['seed']}")
    for key in ("family", "variant", "fidelity"):
        if not isinstance(record[key], str) or not record[key].isprintable():
            raise ValueError(f"result.json has no proper {key}")
    if not paths.is_component(record["dataset"]):
        raise ValueError("result.json has no proper dataset")
