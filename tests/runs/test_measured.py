"""Clusters of a run are measured when it is finished, or later from its weights; what cannot be seen is said once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rethinking.configuration.composition import compose_job
from rethinking.runs import measured
from rethinking.runs.execute import execute
from rethinking.runs.store import RunStore
from tests.runs.test_faults import CELL, DATA


def executed(runs: Path, *words: str) -> str:
    """What the command says of one job, in which nothing failed."""
    job = compose_job(words)
    outcome = execute(replace(job, runs=runs), lambda state, done: None)
    assert not outcome.failed and not outcome.lost
    return "\n".join([outcome.in_words(len(job.seeds)), *outcome.remarks])


def test_clusters_of_finished_runs_are_measured_from_their_weights(tmp_path: Path) -> None:
    words = (*CELL, "seeds=2")
    executed(tmp_path / "runs", *words, "diagnosed_graphs=0", "save_model=true")
    store = RunStore(tmp_path / "runs")
    before = {entry.run_id: entry.record for entry in store.entries()}
    later = executed(tmp_path / "runs", *words, "diagnosed_graphs=20")
    assert "(0 trained, 2 done before)" in later
    assert "the clusters of finished runs were measured: seeds 0, 1." in later
    for entry in store.entries():
        diagnostics = {name: entry.record.pop(name) for name in list(entry.record) if name.startswith("diagnos")}
        assert diagnostics["diagnosed_graphs"] == 20 and diagnostics["diagnostic_hops"] > 1
        assert entry.record == before[entry.run_id]
        assert store.weights(entry.run_id)
    assert "measured" not in executed(tmp_path / "runs", *words, "diagnosed_graphs=10")
    # As a run that is measured when it is trained.
    executed(tmp_path / "whole", *words, "diagnosed_graphs=20")
    for entry in RunStore(tmp_path / "whole").entries():
        expected = store.read(entry.run_id).record["diagnostic_hops"]
        assert entry.record["diagnostic_hops"] == pytest.approx(expected)


def test_measures_are_of_the_epoch_whose_weights_are_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The released code keeps the last ones; matchings of another epoch would go with other weights."""
    epochs = []

    def note(network: Any, dataset: Any, graphs: Any, seed: int, epoch: int, size: int) -> dict[str, float]:
        epochs.append(epoch)
        return {"hops": 1.0}

    monkeypatch.setattr(measured, "diagnose", note)
    words = (*CELL, "seeds=4", "trainer.max_epochs=2")
    executed(tmp_path / "runs", *words)
    assert sorted(epochs) == sorted(entry.record["best_epoch"] for entry in RunStore(tmp_path / "runs").entries())
    epochs.clear()
    executed(tmp_path / "runs", *words, "fidelity.best_weights=released_code")
    assert epochs == [2] * 4


def test_without_weights_it_is_said_that_clusters_cannot_be_measured(tmp_path: Path) -> None:
    words = (*CELL, "seeds=2")
    executed(tmp_path, *words, "diagnosed_graphs=0")
    later = executed(tmp_path, *words)
    assert "(0 trained, 2 done before)" in later
    assert "could not be measured: seeds 0, 1 (their weights were not saved; save_model=true trains" in later
    baseline = ("model=global_mean", "pooling=none", *DATA, "seeds=1")
    executed(tmp_path, *baseline, "diagnosed_graphs=0")
    assert "measured" not in executed(tmp_path, *baseline), "it has no clusters"


SILENT = """
from torch import nn

class Silent(nn.Module):
    def forward(self, x, edge_index, batch):
        return x, edge_index, batch
"""


def test_a_black_box_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its clusters cannot be seen, so its record says nothing of them, and training it again is not advised."""
    (tmp_path / "silent_pooler.py").write_text(SILENT)
    monkeypatch.syspath_prepend(tmp_path)
    words = ("model=host", "pooling=learned", "pooler=own", "pooler.operator.path=silent_pooler.Silent", *DATA)
    first = executed(tmp_path / "runs", *words, "seeds=1")
    assert "(1 trained" in first
    (entry,) = RunStore(tmp_path / "runs").entries()
    assert not [name for name in entry.record if name.startswith("diagnostic_")]
    again = executed(tmp_path / "runs", *words, "seeds=1")
    assert "(0 trained, 1 done before)" in again and "measured" not in again
