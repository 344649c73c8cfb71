"""The recorded scores follow from the recorded predictions, bit by bit, for every task."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rethinking.analysis.tidy import read_results
from rethinking.configuration.composition import compose_job
from rethinking.data.dataset import GraphDataset
from rethinking.data.load import load
from rethinking.paths import own_configuration
from rethinking.runs.execute import execute
from rethinking.runs.predictions import (
    compact,
    read_predictions,
    read_tested,
    read_together,
    score_of,
    write_predictions,
)
from rethinking.runs.store import RunStore
from tests.conftest import FEW_DIGITS, random_dataset

Call = Callable[..., subprocess.CompletedProcess[str]]

OWN = """
name: own
title: Own
read: {_target_: tests.runs.test_predictions.read_own, numbers: NUMBERS}
split: {_target_: rethinking.data.split.FixedSplit, train: [20, 60], val: [0, 20], test: [60, 120]}
task: ${tasks.TASK}
"""


def read_own(path: None, name: str, numbers: bool) -> GraphDataset:
    """Graphs of two classes, or with a number each."""
    dataset = random_dataset(3, graphs=120)
    y = np.random.default_rng(0).standard_normal(120).astype(np.float32) if numbers else dataset.y
    return GraphDataset(name, *(getattr(dataset, part) for part in ("node_ptr", "in_ptr", "in_rows")),
                        dataset.out_ptr, dataset.out_rows, dataset.x, y)  # fmt: skip


@pytest.mark.parametrize("name", ["classification", "regression", "molhiv"])
def test_scores_follow_from_predictions(rethinking: Call, tmp_path: Path, name: str) -> None:
    """Of the run itself, and as they are collected."""
    (tmp_path / "my" / "dataset").mkdir(parents=True)
    text = OWN.replace("TASK", name).replace("NUMBERS", str(name == "regression").lower())
    (tmp_path / "my" / "dataset" / "own.yaml").write_text(text)
    job = ["model=graclus", "pooling=learned", "dataset=own", "seeds=3", "trainer.max_epochs=4"]
    with own_configuration(tmp_path / "my"):
        settings = compose_job([*job, "trainer.batch_size=16"])
    assert len(execute(replace(settings, runs=tmp_path / "runs"), lambda state, done: None).trained) == 3
    assert rethinking("collect").returncode == 0
    task, dataset = settings.cell.task(), load(settings.cell.dataset, settings.places)
    split, targets = settings.cell.splitter()(dataset, 0), task.targets(dataset)
    entries = RunStore(tmp_path / "runs").entries()
    results = read_results(RunStore(tmp_path / "none"), tmp_path / "results")
    (cell_id,) = results.cells
    collected = results.predictions(cell_id)
    assert len(entries) == 3 and len(collected) == 3 * 80
    for entry in entries:
        own = RunStore(tmp_path / "runs").predictions(entry.run_id)
        again = collected[collected["seed"] == entry.record["seed"]]
        for part in ("val", "test"):
            recorded = entry.record[f"{part}_{task.metric}"]
            assert score_of(task, own, part) == score_of(task, again, part) == recorded
            graphs = own.loc[own["part"] == part, "graph"]
            assert graphs.tolist() == getattr(split, part).tolist()
            assert own.loc[own["part"] == part, "target"].tolist() == targets[graphs].tolist()
        assert ("log_probability" in own) == (name == "classification")


def test_a_score_hangs_on_every_prediction(tmp_path: Path) -> None:
    """What would be noticed if predictions were of another epoch."""
    words = ["model=graclus", "pooling=learned", "dataset=digits", f"splits={FEW_DIGITS}"]
    settings = compose_job([*words, "trainer.max_epochs=2", "seeds=1"])
    execute(replace(settings, runs=tmp_path / "runs"), lambda state, done: None)
    task = settings.cell.task()
    (entry,) = RunStore(tmp_path / "runs").entries()
    predictions = RunStore(tmp_path / "runs").predictions(entry.run_id)
    first = int(np.flatnonzero((predictions["part"] == "test") & (predictions.prediction == predictions.target))[0])
    predictions.loc[first, "prediction"] += 1
    assert score_of(task, predictions, "test") < entry.record["test_accuracy"]


def test_the_compact_form_keeps_everything_but_digits_of_log_probabilities(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"part": ["val"] * 40 + ["test"] * 60, "graph": rng.permutation(70_000)[:100],
         "target": rng.integers(0, 200, 100), "prediction": rng.integers(0, 10, 100),
         "log_probability": -rng.random(100).astype(np.float32)}
    )  # fmt: skip
    write_predictions(compact(frame), tmp_path / "p.parquet")
    again = read_predictions(tmp_path / "p.parquet")
    assert {str(kind) for kind in again.dtypes[["prediction", "target", "log_probability"]]} == {
        "int8",
        "int16",
        "float16",
    }
    pd.testing.assert_frame_equal(again.drop(columns="log_probability"), frame.drop(columns="log_probability"), False)
    assert np.allclose(again["log_probability"], frame["log_probability"], rtol=1e-3)
    numbers = frame.assign(prediction=rng.standard_normal(100).astype(np.float32)).drop(columns="log_probability")
    write_predictions(compact(numbers), tmp_path / "n.parquet")
    assert read_predictions(tmp_path / "n.parquet")["prediction"].equals(numbers["prediction"])


def test_files_read_together_are_those_read_one_by_one(tmp_path: Path) -> None:
    frame = pd.DataFrame({"part": ["val", "test"], "graph": [3, 5], "target": [0, 1], "prediction": [1, 1]})
    files = {seed: tmp_path / f"{seed}.parquet" for seed in (0, 4)}
    for seed, path in files.items():
        write_predictions(frame.assign(graph=frame.graph + seed), path)
    each = pd.concat([read_predictions(path).assign(seed=seed) for seed, path in files.items()], ignore_index=True)
    pd.testing.assert_frame_equal(read_together(files), each)
    write_predictions(frame.assign(prediction=0.5), files[4])
    with pytest.raises(ValueError):
        read_together(files)


def test_which_graphs_were_tested_is_what_the_predictions_say(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"part": ["test", "val"] * 20, "graph": rng.permutation(40), "target": 0, "prediction": 1})
    write_predictions(frame, tmp_path / "one.parquet")
    tested = sorted(frame.graph[frame.part == "test"])
    assert list(read_tested(tmp_path / "one.parquet")["graph"]) == tested
    several = pd.concat([frame.assign(seed=0), frame.assign(seed=3, graph=frame.graph + 100)], ignore_index=True)
    write_predictions(several, tmp_path / "several.parquet")
    assert list(read_tested(tmp_path / "several.parquet", 3)["graph"]) == [graph + 100 for graph in tested]
    assert read_tested(tmp_path / "several.parquet", 1).empty
