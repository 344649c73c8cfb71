"""A killed sweep loses nothing, two processes share one store, finished runs are not trained again.

Through the real command line.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rethinking.configuration.composition import compose_job
from rethinking.data.dataset import GraphDataset
from rethinking.errors import UserError
from rethinking.runs import execute as execution
from rethinking.runs import measured
from rethinking.runs.record import RunRecord
from rethinking.runs.store import RunStore
from rethinking.training import sizes
from rethinking.training.group import train_group
from rethinking.training.state import Replica
from tests.conftest import FEW_DIGITS

CELL = (
    *("model=graclus", "pooling=learned", "dataset=digits", f"splits={FEW_DIGITS}"),
    *("trainer.max_epochs=3", "trainer.batch_size=64"),
)
Call = Callable[..., subprocess.CompletedProcess[str]]


def start(folder: Path, cache: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rethinking", "run", *CELL, *arguments],
        cwd=folder, env=os.environ | {"RETHINKING_CACHE": str(cache)}, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def done(folder: Path) -> dict[str, str]:
    """The finished runs, with the time each was finished."""
    return {
        entry.run_id: entry.record["finished"] for entry in RunStore(folder / "runs").entries() if entry.state == "done"
    }


def counts(text: str) -> tuple[int, int]:
    """(trained, done before) from the line that ends a job."""
    match = re.search(r"\((\d+) trained, (\d+) done before", text)
    assert match, text
    return int(match[1]), int(match[2])


@pytest.mark.parametrize("wanted", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_kill_9_keeps_finished_runs_and_the_same_command_does_the_rest(
    rethinking: Call, tmp_path: Path, cache: Path, wanted: int
) -> None:
    process = start(tmp_path, cache, "seeds=4", "replicas=1")
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("runs/*/result.json"))) < wanted or not (tmp_path / "runs").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = done(tmp_path)
    assert wanted <= len(kept) < 4, "the sweep was over before it was killed"
    states = {entry.state for entry in RunStore(tmp_path / "runs").entries()}
    assert states <= {"done"}, "a dead process still holds or half wrote a run"

    rest = rethinking("run", *CELL, "seeds=4", "replicas=1")
    assert rest.returncode == 0, rest.stderr
    assert counts(rest.stderr) == (4 - len(kept), len(kept))
    after = done(tmp_path)
    assert len(after) == 4
    assert {run: after[run] for run in kept} == kept


def test_finished_seeds_are_kept_and_added_ones_trained(rethinking: Call, tmp_path: Path) -> None:
    for seeds, expected in (("seeds=2", (2, 0)), ("seeds=2", (0, 2)), ("seeds=[1,4]", (1, 1))):
        result = rethinking("run", *CELL, seeds)
        assert result.returncode == 0, result.stderr
        assert counts(result.stderr) == expected


@pytest.mark.slow
def test_two_processes_on_one_store_share_the_work(rethinking: Call, tmp_path: Path, cache: Path) -> None:
    """This one, and one that trains already."""
    process = start(tmp_path, cache, "seeds=6", "replicas=1", "trainer.max_epochs=10")
    deadline = time.monotonic() + 120
    while not RunStore(tmp_path / "runs").entries():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    ours = rethinking("run", *CELL, "seeds=[5,4,3,2,1,0]", "replicas=1", "trainer.max_epochs=10")
    theirs = process.communicate(timeout=200)[1]
    for status, output in ((ours.returncode, ours.stderr), (process.returncode, theirs)):
        # 3: at its end the other one was still training a seed that this one had asked for.
        assert status == (3 if "left to another process" in output else 0), output
    assert sum(counts(output)[0] for output in (ours.stderr, theirs)) == 6
    assert len(done(tmp_path)) == 6


def test_ctrl_c_says_what_is_kept(rethinking: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = RunStore.write_result

    def interrupted(store: RunStore, record: RunRecord) -> None:
        written(store, record)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(RunStore, "write_result", interrupted)
    # Tests may run in the background, where Ctrl-C is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        result = rethinking("run", *CELL, "seeds=3", "replicas=1")
    finally:
        signal.signal(signal.SIGINT, before)
    assert result.returncode == 130
    assert "Traceback" not in result.stderr
    assert "Finished runs are kept" in result.stderr
    assert len(done(tmp_path)) == 1


def test_failed_runs_are_recorded_and_tried_again_on_demand(rethinking: Call, tmp_path: Path) -> None:
    """A weight that makes the loss overflow fails every run of its cell; the other cell goes on."""
    cells = ("model=mincut", *CELL[1:], "trainer.max_epochs=1", "seeds=2")
    first = rethinking("run", "-m", *cells, "model.mincut_weight=1.0,1e39")
    assert first.returncode == 1
    assert "Traceback" not in first.stderr
    assert first.stderr.count("not a finite number") == 2
    assert "mincut_weight=1.0" in first.stdout and "mincut_weight=1e+39" in first.stdout
    assert "retry_failed=true" in first.stderr
    errors = sorted((tmp_path / "runs").glob("*/error.txt"))
    assert len(errors) == 2
    assert len(done(tmp_path)) == 2
    assert "2 runs have failed" in rethinking("status").stdout
    why = rethinking("status", "--failed")
    assert why.returncode == 1
    assert all(str(error.parent.name) in why.stdout for error in errors)

    written = [error.stat().st_mtime_ns for error in errors]
    failing = ("run", *cells, "model.mincut_weight=1e39")
    again = rethinking(*failing)
    assert again.returncode == 1
    assert [error.stat().st_mtime_ns for error in errors] == written, "a failed run was tried again unasked"
    retried = rethinking(*failing, "retry_failed=true")
    assert retried.returncode == 1
    assert [error.stat().st_mtime_ns for error in errors] != written


def test_a_damaged_run_is_named_and_trained_anew(rethinking: Call, tmp_path: Path) -> None:
    rethinking("run", *CELL, "seeds=2")
    run = sorted(done(tmp_path))[0]
    result = tmp_path / "runs" / run / "result.json"
    result.write_text(result.read_text()[:40])
    for command in (["status"], ["table", "1"]):
        shown = rethinking(*command)
        assert shown.returncode == 0, shown.stderr
    assert run in rethinking("status").stdout
    assert counts(rethinking("run", *CELL, "seeds=2").stderr) == (1, 1)
    assert json.loads(result.read_text())["run_id"] == run


def execute(folder: Path, *words: str) -> tuple[int, int]:
    """As the command, without what it says. Returns (trained, done before)."""
    job = replace(compose_job([*CELL, *words]), runs=folder / "runs")
    outcome = execution.execute(job, lambda state, done: None)
    return len(outcome.trained), len(outcome.kept)


def test_weights_are_kept_when_asked_for_even_of_finished_runs(tmp_path: Path) -> None:
    assert execute(tmp_path, "seeds=2") == (2, 0)
    store = RunStore(tmp_path / "runs")
    (run, _) = done(tmp_path)
    with pytest.raises(UserError, match="save_model=true"):
        store.weights(run)
    before = store.entry(run).record
    assert execute(tmp_path, "seeds=2", "save_model=true") == (2, 0)
    weights = store.weights(run)
    assert {len(value) for value in weights.values()} == {1}
    assert store.entry(run).record["test_loss"] == pytest.approx(before["test_loss"], abs=1e-5)
    assert execute(tmp_path, "seeds=2", "save_model=true") == (0, 2)
    (tmp_path / "runs" / run / "weights.pt").write_bytes(b"broken")
    assert store.entry(run).state == "damaged"


def test_what_does_not_fit_into_memory_is_tried_with_fewer_seeds(
    rethinking: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that can hold one seed only: with replicas=auto all the same get done, otherwise the reason is told."""

    def small(*, seeds: Sequence[int], **arguments: Any) -> Iterator[Replica]:
        if len(seeds) > 1:
            raise MemoryError
        return train_group(seeds=seeds, **arguments)

    monkeypatch.setattr(execution, "train_group", small)
    command = ["run", "model=global_mean", "pooling=none", *CELL[2:], "trainer.max_epochs=1", "seeds=4"]
    fixed = rethinking(*command, "replicas=4", "runs=fixed")
    assert fixed.returncode == 1 and "Out of memory" in next(tmp_path.glob("fixed/*/error.txt")).read_text()
    automatic = rethinking(*command)
    assert automatic.returncode == 0
    assert "1 seed trained at a time; the memory has no room for more" in automatic.stderr
    results = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/result.json")]
    assert [result["replicas"] for result in results] == [1] * 4


def test_seeds_train_in_groups_that_are_worth_it(
    rethinking: Call, tmp_path: Path, digits: GraphDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In equal ones; what was chosen is said, and recorded. How many graphs are evaluated at once changes nothing."""
    monkeypatch.setattr(sizes, "NODES", 3 * 64 * len(digits.x) // len(digits))
    command = ["run", "model=graclus", "pooling=learned", "dataset=digits", *CELL[3:], "seeds=4", "diagnosed_graphs=0"]
    chosen = rethinking(*command)
    assert "2 seeds trained at a time; more than" in chosen.stderr
    together = rethinking(*command, "runs=together", "replicas=4", "evaluation_batch_size=7")
    assert "at a time" not in together.stderr
    ours, theirs = (
        {
            result["seed"]: result
            for path in tmp_path.glob(f"{runs}/*/result.json")
            if (result := json.loads(path.read_text()))
        }
        for runs in ("runs", "together")
    )
    assert len(ours) == 4
    for seed, result in ours.items():
        assert (result["replicas"], theirs[seed]["replicas"]) == (2, 4)
        assert result["test_loss"] == pytest.approx(theirs[seed]["test_loss"], rel=1e-3)


@pytest.mark.usefixtures("plain")
def test_a_run_says_in_which_form_it_was_trained_and_is_the_same_run(tmp_path: Path) -> None:
    for fast, expected in (("fast=false", (1, 0)), ("fast=true", (0, 1))):
        assert execute(tmp_path, "seeds=1", fast) == expected
    (path,) = tmp_path.glob("runs/*/result.json")
    assert json.loads(path.read_text())["fast"] is False


def test_clusters_that_cannot_be_measured_lose_no_run(
    rethinking: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> dict[str, float]:
        raise IndexError("a Select of an unexpected shape")

    monkeypatch.setattr(measured, "diagnose", broken)
    result = rethinking("run", *CELL, "seeds=2")
    assert result.returncode == 0
    assert "could not be measured (a Select of an unexpected shape)" in result.stdout + result.stderr
    assert len(done(tmp_path)) == 2
    assert rethinking("run", *CELL, "seeds=1", "diagnosed_graphs=0", "runs=none").returncode == 0
    (record,) = [json.loads(path.read_text()) for path in tmp_path.glob("none/*/result.json")]
    assert not any(name.startswith("diagnostic_") for name in record)


def test_clusters_are_measured_with_the_draws_of_the_weights_epoch(
    rethinking: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the last weights kept, matchings are drawn as in the last epoch, not as in the best one."""
    monkeypatch.setattr(measured, "diagnose", lambda *arguments: {"epoch": float(arguments[4])})
    overrides = ("fidelity.best_weights=released_code", "trainer.max_epochs=4", "trainer.learning_rate=0.1", "seeds=3")
    assert rethinking("run", *CELL, *overrides).returncode == 0
    records = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/result.json")]
    assert [record["diagnostic_epoch"] for record in records] == [record["epochs"] for record in records] == [4] * 3
    assert any(record["best_epoch"] < 4 for record in records), "the best epoch is always the last: a weak test"
