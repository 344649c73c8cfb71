"""Made-up records of runs, as the store takes them."""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rethinking.configuration.cell import Cell
from rethinking.runs.identity import cell_id
from rethinking.runs.predictions import score_of
from rethinking.runs.record import RunRecord, cell_record, head_of
from rethinking.runs.store import RunStore
from rethinking.tasks.task import Task

PREDICTIONS = pd.DataFrame(
    {"part": ["val", "test"], "graph": [3, 5], "target": [0, 1], "prediction": [0, 0], "log_probability": [-0.1, -0.6]}
)


def giving(task: Task, score: float) -> tuple[pd.DataFrame, float]:
    """Predictions of both parts that give nearly this score, and the score that they give exactly."""
    nearly = Fraction(score).limit_denominator(1000)
    if task.metric == "accuracy":
        # As in real runs, seeds test on about as many graphs: 501 to 1000.
        copies = 1000 // nearly.denominator
        wrong = np.arange(copies * nearly.denominator) >= copies * nearly.numerator
        columns = {"target": 0, "prediction": wrong.astype(int), "log_probability": np.float32(-0.5)}
    else:
        columns = {"target": np.float32([0.0]), "prediction": np.float32([score])}
    part = pd.DataFrame(columns).rename_axis("graph").reset_index()
    frame = pd.concat([part.assign(part=name) for name in ("val", "test")], ignore_index=True)
    return frame, score_of(task, frame, "test")


def made_up(cell: Cell, seed: int, score: float, fingerprint: str | None = None, **diagnostics: float) -> RunRecord:
    """A run of a cell with nearly this score, exactly if it has three digits; its predictions give it.

    fingerprint: that the cell's data set expects, unless another is given.
    """
    content = fingerprint or cell.dataset.fingerprint or "0"
    measure = cell.task().measure
    metric = measure.metric
    predictions, exact = giving(cell.task(), score)
    losses = {"train_loss": 0.1, "val_loss": 0.2, "test_loss": 0.3}
    return RunRecord(
        head=head_of(cell, cell_id(cell, content), seed),
        cell=cell_record(cell, content, measure, cell.splitter().test_to_train),
        scores={**losses, f"val_{metric}": exact, f"test_{metric}": exact},
        history=pd.DataFrame({"epoch": [1, 2], f"val_{metric}": [0.8, 0.9], "val_loss": [0.3, 0.2]}),
        predictions=predictions,
        diagnostics=diagnostics,
        provenance={"fingerprint": content, "best_epoch": 2, "epochs": 2},
    )


# Of each cell with scores that was asked for before, the folders of its runs.
_FOLDER = tempfile.TemporaryDirectory()
_MADE: dict[str, list[Path]] = {}


def fill_cell(store: RunStore, cell: Cell, scores: Iterable[float], **diagnostics: float) -> None:
    """Runs of a cell with these test scores, a seed each. Those that are asked for again are copied."""
    store.check_writable()
    scores = list(map(float, scores))
    key = repr((cell, scores, diagnostics))
    if key not in _MADE:
        _MADE[key] = _made_once(cell, scores, **diagnostics)
    for run in _MADE[key]:
        shutil.rmtree(store.folder / run.name, ignore_errors=True)
        shutil.copytree(run, store.folder / run.name, copy_function=shutil.copyfile)


def _made_once(cell: Cell, scores: Sequence[float], **diagnostics: float) -> list[Path]:
    store = RunStore(Path(_FOLDER.name) / str(len(_MADE)))
    store.check_writable()
    task, first = cell.task(), made_up(cell, 0, 0.5, **diagnostics)
    for seed, score in enumerate(scores):
        predictions, exact = giving(task, score)
        head = head_of(cell, first.head["cell_id"], seed)
        of_parts = {f"{part}_{task.metric}": exact for part in ("val", "test")}
        store.write_result(replace(first, head=head, scores=first.scores | of_parts, predictions=predictions))
    return [path for path in store.folder.iterdir() if not path.name.startswith(".")]


def older(stored: dict[str, Any]) -> dict[str, Any]:
    """What schema 1 has stored of a cell: its configuration and nothing else."""
    cell = {key: value for key, value in stored["cell"].items() if key != "is_local"}
    task = {key: value for key, value in cell["dataset"]["task"].items() if key != "margin"}
    return {
        "schema": 1,
        "fingerprint": stored["fingerprint"],
        "cell": {**cell, "dataset": {**cell["dataset"], "task": task}},
    }
