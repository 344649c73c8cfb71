"""Other programs have the learning curves that the store has, and whatever they raise costs no run."""

import importlib.util
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from rethinking.configuration.composition import compose_job
from rethinking.errors import UserError
from rethinking.runs.execute import execute
from rethinking.runs.outcome import Outcome
from rethinking.runs.store import RunStore
from rethinking.tracking.tracker import Tracker, flat, kind_of, tracker_of
from tests.conftest import FEW_DIGITS

Call = Callable[..., subprocess.CompletedProcess[str]]
CURVE = "val_accuracy"
BLOCK, PART, FULL, LAST = 32768, 7, 1, 4


def train(folder: Path, *words: str) -> tuple[RunStore, Outcome]:
    cell = ("model=graclus", "pooling=learned", "dataset=digits", f"splits={FEW_DIGITS}", "diagnosed_graphs=0")
    job = compose_job([*cell, "seeds=2", "trainer.max_epochs=3", f"runs={folder}", *words])
    return RunStore(folder), execute(job, lambda state, settled: None)


def curves(store: RunStore) -> dict[str, list[float]]:
    return {entry.run_id: store.history(entry.run_id)[CURVE].tolist() for entry in store.entries()}


def test_tensorboard_has_the_curves(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    store, _ = train(tmp_path, "logger=tensorboard")
    expected = curves(store)
    folders = {path.name: path for path in (tmp_path / ".tensorboard" / "graclus-learned-digits").iterdir()}
    assert set(folders) == set(expected)
    for run, values in expected.items():
        events = EventAccumulator(str(folders[run]))
        events.Reload()
        assert [event.step for event in events.Scalars(CURVE)] == [1, 2, 3]
        assert [event.value for event in events.Scalars(CURVE)] == pytest.approx(values)
        (score,) = events.Scalars("best/test_accuracy")
        assert score.value == pytest.approx(store.read(run).record["test_accuracy"])


@pytest.mark.slow  # Importing and starting it takes longest.
def test_mlflow_has_the_curves(tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    store, outcome = train(tmp_path, "logger=mlflow")
    assert not outcome.untold
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/.mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("graclus-learned-digits")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    for name, values in curves(store).items():
        run = runs.pop(name)
        assert [point.value for point in client.get_metric_history(run.info.run_id, CURVE)] == pytest.approx(values)
        assert run.data.metrics["best_test_accuracy"] == store.read(name).record["test_accuracy"]
        assert run.data.params["trainer.max_epochs"] == "3" and run.info.status == "FINISHED"
    assert not runs


def records(file: Path) -> Iterator[bytes]:
    """What a log in LevelDB's format holds, after a header: parts with checksum, length and kind each."""
    content, place, whole = file.read_bytes(), 7, b""
    while place < len(content):
        if BLOCK - place % BLOCK < PART:  # The rest of a block is too short for a part.
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        whole += content[place + PART : place + PART + length]
        place += PART + length
        if kind in (FULL, LAST):
            yield whole
            whole = b""


@pytest.mark.slow  # Importing and starting it takes longest.
def test_wandb_has_the_curves(tmp_path: Path) -> None:
    from wandb.proto import wandb_internal_pb2

    store, outcome = train(tmp_path, "logger=wandb")
    assert not outcome.untold
    for name, values in curves(store).items():
        (file,) = (tmp_path / ".wandb" / "wandb").glob(f"offline-run-*-{name}/run-{name}.wandb")
        found = []
        for content in records(file):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(content)
            items = {item.key or item.nested_key[0]: item.value_json for item in record.history.item}
            found += [float(items[CURVE])] if CURVE in items else []
        assert found == pytest.approx(values)


class Broken(Tracker):
    """Raises at one call of its methods."""

    when = ""

    def __getattribute__(self, name: str) -> Any:
        if name == Broken.when:
            raise ConnectionError("the network\nis down")
        return super().__getattribute__(name)


@pytest.mark.parametrize("when", ["begin", "epoch", "end"])
def test_what_a_tracker_raises_costs_no_run(tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Broken, "when", when)
    _, outcome = train(tmp_path, f"logger._target_={__name__}.Broken")
    assert outcome.trained == [0, 1] and not outcome.failed
    (remark,) = [remark for remark in outcome.remarks if "logger" in remark]
    assert "Broken: the network is down" in remark


class Noted(Tracker):
    """Keeps what it is told."""

    told: list[tuple[str, str]] = []  # noqa: RUF012

    def begin(self, run_id: str, cell: str, settings: Mapping[str, Any]) -> None:
        self.told.append(("begin", run_id))

    def end(self, run_id: str, scores: Mapping[str, float]) -> None:
        self.told.append(("end" if scores else "failed", run_id))


def test_what_fails_ends_without_scores(tmp_path: Path) -> None:
    Noted.told.clear()
    store, outcome = train(tmp_path, f"logger._target_={__name__}.Noted", "model=mincut", "model.mincut_weight=1e39")
    assert len(outcome.failed) == 2
    runs = [entry.run_id for entry in store.entries()]
    assert Noted.told == [*(("begin", run) for run in runs), *(("failed", run) for run in runs)]


def test_what_is_no_logger_is_one_sentence(monkeypatch: pytest.MonkeyPatch, rethinking: Call, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"logger\._target_=nowhere\.At cannot be found"):
        kind_of({"_target_": "nowhere.At"})
    with pytest.raises(UserError, match="derived from Tracker"):
        kind_of({"_target_": "pathlib.Path"})
    with pytest.raises(UserError, match=r"logger: .*more"):
        tracker_of({"_target_": "rethinking.tracking.tensorboard.TensorBoard", "folder": ".", "more": 1})
    monkeypatch.setattr("rethinking.tracking.tracker.find_spec", lambda name: None)
    result = rethinking("run", "model=graclus", "pooling=learned", "dataset=digits", "logger=wandb")
    assert result.returncode == 2 and not (tmp_path / "runs").exists()
    assert 'needs wandb, which is not installed: pip install "rethinking[wandb]"' in result.stderr
    monkeypatch.setattr("rethinking.tracking.tracker.find_spec", importlib.util.find_spec)


def test_settings_are_flat() -> None:
    assert flat({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {"a.b": 1, "a.c.d": [2], "e": None}
