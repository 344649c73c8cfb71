"""`rethinking status` says of runs that a table does not count why it does not."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rethinking.runs.store import RunStore
from tests.analysis.conftest import NCI1, fill

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
