"""`rethinking status` says how far all is, who is at it, and of runs that a table does not count why it does not."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rethinking.analysis import remaining
from rethinking.analysis.collect import collect
from rethinking.analysis.standing import Standing
from rethinking.analysis.suites import load_suite
from rethinking.commands.status import told_of_all
from rethinking.configuration.composition import compose_cell
from rethinking.runs import workers
from rethinking.runs.checkpoints import Checkpoints
from rethinking.runs.identity import run_id
from rethinking.runs.interrupted import NAME
from rethinking.runs.record import head_of
from rethinking.runs.store import RunStore
from tests.analysis.conftest import NCI1, fill
from tests.records import made_up

Call = Callable[..., subprocess.CompletedProcess[str]]
SCORES = np.array([0.7, 0.8])


def test_runs_with_other_settings_are_said_beside_the_cell(rethinking: Call, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    fill(store, NCI1 + "learned trainer.max_epochs=60", SCORES)
    fill(store, NCI1 + "complement", SCORES)
    many = "trainer.max_epochs=60 trainer.batch_size=7 model.hidden=9 model.layers=2 trainer.decay_patience=3"
    fill(store, NCI1 + f"complement model.convs_before_pool=1 {many}", SCORES[:1])
    lines = rethinking("status", "table1", "table2").stdout.splitlines()
    assert "  Graclus: NCI1 0/20 (2 with max_epochs=60), IMDB-B 0/20, SMNIST 0/20, ZINC 0/20" in lines
    # A cell of one table is of no other settings in another, and is said where it differs least.
    by_row = {line.partition(":")[0].strip(): line for line in lines}
    assert "NCI1 2/20 (1 with" in by_row["Complement"] and "and 3 more)" in by_row["Complement"]
    assert "with" not in by_row["Complement (>1 conv)"]
    assert "NCI1 0/20 (1 with" in by_row["Complement (1 conv)"] and "and 2 more)" in by_row["Complement (1 conv)"]


def test_collected_runs_are_not_said(rethinking: Call, tmp_path: Path) -> None:
    """Only the store's, which the grid above shows."""
    store = RunStore(tmp_path / "elsewhere")
    fill(store, NCI1 + "learned trainer.max_epochs=60", SCORES)
    assert rethinking("collect", "--runs", "elsewhere").returncode == 0
    assert "with max_epochs" not in rethinking("status", "table1").stdout


def test_of_no_store_nothing_is_said(rethinking: Call) -> None:
    assert "There are no runs in runs/ yet" in rethinking("status", "table1").stdout
    assert rethinking("status", "table1", "--runs", "none").stdout.startswith("Table 1 lacks")


def test_what_is_drawn_from_weights_lacks_them(rethinking: Call, tmp_path: Path) -> None:
    """A run without them counts for a table, and for a figure of trained networks it does not."""
    store = RunStore(tmp_path / "runs")
    store.check_writable()
    rows = load_suite("figure5").rows
    for row, words in rows.items():
        cell = compose_cell([*(words or ()), "dataset=zinc"])
        weights = {"w": torch.ones(1)} if row == "U-DiffPool" else None
        store.write_result(replace(made_up(cell, 0, 0.4), weights=weights))
    said = rethinking("status", "figure5")
    assert said.returncode == 1 and "Figure 5: 1 of 3 seeds are done, 2 missing" in said.stdout
    assert "  Complement: ZINC 0/1 (+1 without weights)\n" in said.stdout and "U-DiffPool" not in said.stdout
    assert "without weights" not in rethinking("status", "table1").stdout


def test_a_study_cannot_be_watched(rethinking: Call) -> None:
    """It has no trainings; to say at once that all is done would be wrong."""
    refused = rethinking("status", "src_autoencoder", "--watch")
    assert refused.returncode == 2 and "src_autoencoder has none" in refused.stderr


SUITE = """
title: "Some cells: of a suite of one's own"
seeds: 3
rows:
  Graclus: [model=graclus, pooling=learned]
  Complement: [model=graclus, pooling=complement]
columns: {nci1: NCI1}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A configuration folder with a suite of two cells, three seeds each."""
    (tmp_path / "conf" / "suite").mkdir(parents=True)
    (tmp_path / "conf" / "suite" / "some.yaml").write_text(SUITE)
    return tmp_path / "conf"


def test_the_exit_status_is_whether_a_suite_is_complete(rethinking: Call, tmp_path: Path, own: Path) -> None:
    store = RunStore(tmp_path / "runs")
    asked = ("status", "some", "--config-dir", str(own))
    assert rethinking(*asked).returncode == 1
    fill(store, NCI1 + "learned", np.array([0.7, 0.8, 0.75]))
    fill(store, NCI1 + "complement", np.array([0.7, 0.8]))
    lacking = rethinking(*asked)
    assert lacking.returncode == 1
    assert "Some cells: 5 of 6 seeds are done, 1 missing; how long they will take nobody has measured" in lacking.stdout
    assert "  Complement: NCI1 2/3" in lacking.stdout and "  Graclus:" not in lacking.stdout
    fill(store, NCI1 + "complement", np.array([0.7, 0.8, 0.9]))
    whole = rethinking(*asked)
    assert whole.returncode == 0 and "Some cells is complete." in whole.stdout
    watched = rethinking(*asked, "--watch")
    assert watched.returncode == 0 and "Some cells is complete." in watched.stdout
    assert rethinking("status").returncode == 0, "of what nobody named it says nothing"


def test_what_no_table_takes_is_not_done(rethinking: Call, tmp_path: Path, own: Path) -> None:
    """A score that is no number, though its file is as it was written; or an empty one of a results folder."""
    store = RunStore(tmp_path / "runs")
    fill(store, NCI1 + "learned", np.array([0.7, 0.8, 0.75]))
    fill(store, NCI1 + "complement", np.array([0.7, 0.8, 0.9]))
    collect(store, tmp_path / "results")
    (entry, *_) = [entry for entry in store.entries() if entry.record["variant"] == "complement"]
    path = store.folder / entry.run_id / "result.json"
    record = json.loads(path.read_text()) | {"test_loss": float("nan")}
    del record["sha256"]
    asked = ("status", "some", "--config-dir", str(own), "--results", "none")
    assert rethinking(*asked).returncode == 0
    path.write_text(json.dumps({**record, "sha256": sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()}))
    assert "  Complement: NCI1 2/3" in rethinking(*asked).stdout
    rows = pd.read_csv(tmp_path / "results" / "runs.csv", dtype=str)
    rows.loc[(rows["split"] == "test") & (rows["metric"] == "accuracy") & (rows["seed"] == "0"), "value"] = ""
    rows.to_csv(tmp_path / "results" / "runs.csv", index=False)
    (tmp_path / "results" / "manifest.yaml").unlink()
    asked = (*asked[:-2], "--runs", "none", "--results", str(tmp_path / "results"))
    assert "Some cells: 4 of 6 seeds are done" in rethinking(*asked).stdout


def test_who_watches_sees_first_what_changes(
    rethinking: Call, tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above all cells that are done, of which there may be more than a terminal has lines; Ctrl-C ends it."""

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    store = RunStore(tmp_path / "runs")
    fill(store, NCI1 + "learned", np.array([0.7, 0.8, 0.75]))
    fill(store, NCI1 + "complement", np.array([0.7]))
    (entry, *_) = [entry for entry in store.entries() if entry.record["variant"] == "complement"]
    head = {**entry.record, "run_id": run_id(entry.record["cell_id"], 1), "seed": 1}
    store.write_failure(head["run_id"], {}, head, "ValueError: too bad")
    with monkeypatch.context() as patched:
        patched.setattr(time, "sleep", interrupt)
        watched = rethinking("status", "some", "--config-dir", str(own), "--watch")
    assert watched.returncode == 1 and not watched.stderr
    said = watched.stdout
    order = [said.index(text) for text in ("Nobody works", "1 run has failed", "Some cells: 4 of 6", "complement")]
    assert order == sorted(order) and "learned" not in said


def test_what_runs_and_what_failed_is_no_longer_missing(rethinking: Call, tmp_path: Path, own: Path) -> None:
    store = RunStore(tmp_path / "runs")
    fill(store, NCI1 + "learned", np.array([0.7]))
    cell = compose_cell((NCI1 + "learned").split())
    (entry,) = store.entries()
    id = entry.record["cell_id"]
    heads = [head_of(cell, id, seed) for seed in range(3)]
    store.write_failure(run_id(id, 1), {}, heads[1], "Traceback:\n  it was\nValueError: too bad")
    with store.claim(run_id(id, 2), heads[2]) as mine, store.at_work() as worker:
        assert mine
        worker.say({"title": "graclus / learned / nci1", "seeds": 1, "epoch": 20, "max_epochs": 60, "seconds": 50.0})
        deadline = time.monotonic() + 60
        while not store.workers.said(worker.name).get("doing") and time.monotonic() < deadline:
            time.sleep(0.1)
        said = rethinking("status", "some", "--config-dir", str(own)).stdout
        assert "Graclus: NCI1 1/3 (1 running; 1 failed)" in said
        assert "Some cells: 1 of 6 seeds are done, 1 running, 1 failed, 3 missing" in said
        row = re.search(rf".*\({os.getpid()}\).*", said)
        assert row and all(text in row[0] for text in ("graclus / learned / nci1", "20/60", "2.5"))
        assert "2 min" in row[0]
    assert "At work" not in rethinking("status").stdout
    assert "1 run has failed: `rethinking status --failed` says why." in said
    why = rethinking("status", "--failed")
    assert why.returncode == 1
    assert f"runs/{run_id(id, 1)} (graclus / learned / nci1): ValueError: too bad" in why.stdout
    assert len(why.stdout.splitlines()) == 2


def test_a_training_that_stopped_is_told(rethinking: Call, tmp_path: Path) -> None:
    """By the state that it left; while its cell trains there is nothing to go on with. What is damaged is left out."""
    store, cell = RunStore(tmp_path / "runs"), compose_cell((NCI1 + "learned").split())
    store.check_writable()
    id = "0123456789ab"
    checkpoints = Checkpoints(store.folder, id, "graclus / learned / nci1", {"version": "1"}, {}, every=60)
    checkpoint = checkpoints.of_group([1, 2, 3, 7], None)
    checkpoint.note(SimpleNamespace(state_dict=lambda: {"seeds": [1, 2, 7], "epoch": 22}))  # type: ignore[arg-type]
    checkpoint.write()
    (store.folder / NAME / "odd.pt").write_bytes(b"a state")
    told = f"Stopped before it was done: graclus / learned / nci1 ({id}), seeds 1-2,7, after epoch 22."
    assert told in rethinking("status").stdout
    with store.claim(run_id(id, 1), head_of(cell, id, 1)):
        assert "Stopped" not in rethinking("status").stdout


def test_who_says_anything_odd_spoils_no_terminal(rethinking: Call, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    fill(store, NCI1 + "learned", SCORES)
    (tmp_path / "runs" / workers.NAME).mkdir(exist_ok=True)
    odd: dict[str, Any] = {"host": "\x1b[31m", "user": ["[red]"], "process": {}, "since": 7, "beat": 1}
    odd["doing"] = {"title": "x" * 3000, "seeds": "many", "epoch": -1, "max_epochs": "1e9", "seconds": 1e300}
    (tmp_path / "runs" / workers.NAME / ("0" * 12)).write_text(json.dumps(odd))
    result = rethinking("status")
    assert result.returncode == 0 and "At work" in result.stdout and "\x1b[31m" not in result.stdout


def test_time_left_is_what_such_runs_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the cell itself, else its family, else as the cost sheet says, else as other families take longer here."""
    runs = pd.DataFrame(
        [("a-s00", "a", "graclus", "nci1"), ("b-s00", "b", "graclus", "nci1"), ("c-s00", "c", "gmn", "zinc"),
         ("g-s00", "g", "graclus", "mutag"), ("h-s00", "h", "topk", "mutag"), ("q-s00", "q", "graclus", "nci1")],
        columns=["run_id", "cell_id", "family", "dataset"],
    )  # fmt: skip
    provenance = pd.DataFrame(
        [
            ("a-s00", 10.0, 100),
            ("b-s00", 30.0, 100),
            ("c-s00", "x", 100),
            ("g-s00", 4.0, 100),
            ("h-s00", 5.0, 100),
            ("q-s00", 0.1, 1),
        ],
        columns=["run_id", "seconds", "epochs"],
    )
    cells = {
        "a": ("graclus", "nci1"), "d": ("graclus", "nci1"), "e": ("gmn", "zinc"), "f": ("odd", "zinc"),
        "i": ("topk", "nci1"), "j": ("topk", "zinc"), "k": ("odd", "nci1"),
    }  # fmt: skip

    class Of:
        """What is asked of results and cells."""

        def __init__(self, id: str) -> None:
            self.id, self.family = id, cells[id][0]
            self.dataset = type("Dataset", (), {"name": cells[id][1]})
            self.trainer = type("Trainer", (), {"max_epochs": 500})

    # One was a quick look, which tells nothing of a whole training.
    stored = {id: SimpleNamespace(config={"trainer": {"max_epochs": 1 if id == "q" else 500}}) for id in "abcghq"}
    results = SimpleNamespace(runs=runs, provenance=provenance, cells=stored)
    (tmp_path / "costs.csv").write_text("model,dataset,seconds\ngmn,zinc,0.5\nodd,zinc,\n")
    monkeypatch.setattr(remaining, "COSTS", tmp_path / "costs.csv")
    rates = remaining.Rates(results)
    expected = [10.0, 20.0, 0.5 * 100, None, 5 * 20 / 4, None, None]
    assert [rates.seconds(Of(id), [id]) for id in cells] == pytest.approx(expected)  # type: ignore[arg-type]
    # Where nothing was ever trained nobody knows how many epochs it takes.
    nothing = SimpleNamespace(runs=runs[:0], provenance=provenance[:0], cells={})
    assert remaining.Rates(nothing).seconds(Of("e"), ["e"]) is None  # type: ignore[arg-type]


def test_the_time_that_is_left_is_of_what_lacks_and_says_what_nobody_knows() -> None:
    def told(*seconds: float | None) -> str:
        lacking = {("row", str(n)): Standing(3, 2, 0, 0, 0, 0, each) for n, each in enumerate(seconds)}
        return told_of_all(load_suite("table1"), {("row", "done"): Standing(3, 3, 0, 0, 0, 0, 0.0), **lacking})

    assert told(None).endswith("1 missing; how long they will take nobody has measured yet.")
    assert told(60.0, 120.0).endswith("2 missing; about 3 min of one core left, at the rates measured so far.")
    assert told(60.0, None).endswith("so far, without 1 cell of which nobody has measured any.")
    assert told() == "Table 1 is complete."
