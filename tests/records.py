"""Made-up records of runs, as the store takes them."""

from typing import Any

import pandas as pd

from rethinking.configuration.cell import Cell
from rethinking.runs.identity import cell_id
from rethinking.runs.record import RunRecord, cell_record, head_of

PREDICTIONS = pd.DataFrame(
    {"part": ["val", "test"], "graph": [3, 5], "target": [0, 1], "prediction": [0, 0], "log_probability": [-0.1, -0.6]}
)


def made_up(cell: Cell, seed: int, score: float, fingerprint: str | None = None, **diagnostics: float) -> RunRecord:
    """A run of a cell with this test score. fingerprint: that the cell's data set expects, unless another is given."""
    content = fingerprint or cell.dataset.fingerprint or "0"
    measure = cell.task().measure
    metric = measure.metric
    losses = {"train_loss": 0.1, "val_loss": 0.2, "test_loss": 0.3}
    return RunRecord(
        head=head_of(cell, cell_id(cell, content), seed),
        cell=cell_record(cell, content, measure, cell.splitter().test_to_train),
        scores={**losses, f"val_{metric}": 0.9, f"test_{metric}": float(score)},
        history=pd.DataFrame({"epoch": [1, 2], f"val_{metric}": [0.8, 0.9], "val_loss": [0.3, 0.2]}),
        predictions=PREDICTIONS,
        diagnostics=diagnostics,
        provenance={"fingerprint": content, "best_epoch": 2, "epochs": 2},
    )


def older(stored: dict[str, Any]) -> dict[str, Any]:
    """What schema 1 has stored of a cell: its configuration and nothing else."""
    cell = {key: value for key, value in stored["cell"].items() if key != "is_local"}
    task = {key: value for key, value in cell["dataset"]["task"].items() if key != "margin"}
    return {
        "schema": 1,
        "fingerprint": stored["fingerprint"],
        "cell": {**cell, "dataset": {**cell["dataset"], "task": task}},
    }
