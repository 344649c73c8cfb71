"""A long cell goes on after a kill where it was, with the same result as one that was not interrupted."""

import errno
import hashlib
import io
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
import pytest
import torch

from rethinking.analysis.retrained import platforms_differ
from rethinking.configuration.composition import compose_job
from rethinking.configuration.settings import Settings
from rethinking.runs import checked, provenance, workers
from rethinking.runs import checkpoints as module
from rethinking.runs import execute as execution
from rethinking.runs.checked import DIGEST
from rethinking.runs.execute import execute
from rethinking.runs.outcome import Outcome
from rethinking.runs.store import RunStore
from rethinking.training.group import train_group
from rethinking.training.state import Replica
from tests.conftest import FEW_DIGITS

# Early stopping takes seeds out of the group one after another; matchings are drawn in every epoch.
CELL = (
    *("model=graclus", "pooling=learned", "dataset=digits", "seeds=4", "diagnosed_graphs=0", "device=cpu"),
    *("trainer.max_epochs=14", "trainer.batch_size=64", "trainer.stop_patience=3", f"splits={FEW_DIGITS}"),
)
EVERY_EPOCH = "checkpoint_minutes=1e-9"
HOLD = """
import sys
from contextlib import ExitStack
from pathlib import Path
from rethinking.runs.store import RunStore
store = RunStore(Path(sys.argv[1]))
with ExitStack() as stack:
    assert all(stack.enter_context(store.claim(run, {})) for run in sys.argv[2:])
    print("held", flush=True)
    sys.stdin.read()
"""
Call = Callable[..., subprocess.CompletedProcess[str]]


def results(runs: Path) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    store = RunStore(runs)
    found = [entry.run_id for entry in store.entries() if entry.state == "done"]
    return {run: (store.history(run), store.predictions(run)) for run in found}


def left(runs: Path) -> list[str]:
    return sorted(path.name for path in (runs / module.NAME).glob("*"))


def assert_equal(ours: Path, expected: Path) -> None:
    """To the bit."""
    mine, theirs = results(ours), results(expected)
    assert mine.keys() == theirs.keys() and len(theirs) == 4
    for run, frames in theirs.items():
        for one, other in zip(mine[run], frames, strict=True):
            pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "runs"
    outcome = execute(settings(folder), lambda state, done: None)
    assert len(outcome.trained) == 4
    epochs = {run: len(history) for run, (history, _) in results(folder).items()}
    assert len(set(epochs.values())) > 1, "no seed stops before the others: a weak test"
    assert left(folder) == []
    return folder


def settings(runs: Path, *more: str) -> Settings:
    return replace(compose_job([*CELL, *more]), runs=runs)


class Stop(BaseException):
    """As Ctrl-C."""


def interrupted(runs: Path, epoch: int, *more: str) -> None:
    """Trains until the end of an epoch and is stopped there."""

    def stop(state: Any, done: int) -> None:
        if state.epoch == epoch:
            raise Stop

    with pytest.raises(Stop):
        execute(settings(runs, *more), stop)


def go_on(runs: Path, *more: str) -> tuple[Outcome, list[int]]:
    """Returns what became of it, and the epochs that were trained."""
    epochs: list[int] = []
    outcome = execute(settings(runs, *more), lambda state, done: epochs.append(state.epoch))
    return outcome, epochs


def test_what_sigterm_ends_goes_on_to_the_same_result(
    rethinking: Call, tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def signalled(*, on_epoch: Callable[[Any], None], **arguments: Any) -> Iterator[Replica]:
        def after(state: Any) -> None:
            on_epoch(state)
            if state.epoch == 4:
                signal.raise_signal(signal.SIGTERM)

        return train_group(on_epoch=after, **arguments)

    with monkeypatch.context() as patched:
        patched.setattr(execution, "train_group", signalled)
        ended = rethinking("run", *CELL)
    assert ended.returncode == 143 and "Traceback" not in ended.stderr, ended.stderr
    result = rethinking("run", *CELL)
    assert result.returncode == 0 and "went on after epoch" in result.stderr, result.stderr
    assert_equal(tmp_path / "runs", undisturbed)
    assert left(tmp_path / "runs") == []


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_what_a_signal_ends_in_another_process_goes_on_to_the_same_result(
    rethinking: Call, tmp_path: Path, cache: Path, undisturbed: Path, number: int, status: int
) -> None:
    runs = tmp_path / "runs"
    with subprocess.Popen(
        [sys.executable, "-m", "rethinking", "run", *CELL, EVERY_EPOCH],
        cwd=tmp_path, env=os.environ | {"RETHINKING_CACHE": str(cache)}, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            while not list((runs / module.NAME).glob("*.pt")) and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(number)
            error = process.communicate()[1]
        finally:
            process.kill()
    assert process.returncode == status and "Traceback" not in error, error
    result = rethinking("run", *CELL)
    assert result.returncode == 0 and "went on after epoch" in result.stderr, result.stderr
    assert_equal(runs, undisturbed)
    assert left(runs) == []


@pytest.mark.parametrize("epoch", [1, pytest.param(5, marks=pytest.mark.slow), 9])
def test_an_interruption_costs_the_epoch_at_most(tmp_path: Path, undisturbed: Path, epoch: int) -> None:
    """Also where some seeds are done, which train along."""
    interrupted(tmp_path, epoch)
    done = set(results(tmp_path))
    outcome, epochs = go_on(tmp_path)
    assert outcome.resumed == [(4 - len(done), epoch)] and min(epochs, default=epoch + 1) == epoch + 1
    assert len(outcome.trained) == 4 - len(done)
    assert_equal(tmp_path, undisturbed)
    assert left(tmp_path) == []


def test_runs_done_after_the_state_was_saved_are_not_written_again(tmp_path: Path, undisturbed: Path) -> None:
    interrupted(tmp_path, 3)
    (saved,) = (tmp_path / module.NAME).iterdir()
    content = saved.read_bytes()
    assert len(go_on(tmp_path)[0].trained) == 4
    finished = {entry.run_id: entry.record["finished"] for entry in RunStore(tmp_path).entries()}
    kept = sorted(finished)[:2]
    for run in sorted(finished)[2:]:
        shutil.rmtree(tmp_path / run)
    saved.write_bytes(content)
    outcome, _ = go_on(tmp_path)
    assert outcome.resumed == [(2, 3)] and len(outcome.trained) == 2
    assert_equal(tmp_path, undisturbed)
    assert all(RunStore(tmp_path).read(run).record["finished"] == finished[run] for run in kept)


def test_sigusr1_keeps_the_state_and_ends_nothing(tmp_path: Path, undisturbed: Path) -> None:
    seen: list[list[str]] = []

    def signalled(state: Any, done: int) -> None:
        if state.epoch == 4:
            signal.raise_signal(signal.SIGUSR1)
            seen.append(left(tmp_path))

    before = signal.getsignal(signal.SIGUSR1)
    execute(settings(tmp_path), signalled)
    assert len(seen[0]) == 1 and signal.getsignal(signal.SIGUSR1) is before
    assert_equal(tmp_path, undisturbed)


def test_of_many_seeds_a_few_are_trained_without_the_saved_state(tmp_path: Path, undisturbed: Path) -> None:
    """It goes on when all seeds are asked for; by then fewer are missing."""
    interrupted(tmp_path, 3)
    outcome, epochs = go_on(tmp_path, "seeds=[1]")
    assert outcome.resumed == [] and epochs[0] == 1 and len(left(tmp_path)) == 1
    outcome, _ = go_on(tmp_path)
    assert outcome.resumed == [(3, 3)] and outcome.kept == [1]
    assert left(tmp_path) == []


def test_a_smaller_group_from_the_same_seed_on_leaves_the_state_of_the_larger(tmp_path: Path) -> None:
    interrupted(tmp_path, 3)
    outcome, epochs = go_on(tmp_path, "seeds=[0]")
    assert outcome.resumed == [] and epochs[0] == 1 and len(left(tmp_path)) == 1
    outcome, _ = go_on(tmp_path)
    assert outcome.resumed == [(3, 3)] and outcome.kept == [0]


def test_finished_runs_that_are_trained_again_for_their_weights_go_on_too(tmp_path: Path, undisturbed: Path) -> None:
    shutil.copytree(undisturbed, tmp_path / "runs")
    interrupted(tmp_path / "runs", 3, "save_model=true")
    outcome, epochs = go_on(tmp_path / "runs", "save_model=true")
    assert outcome.resumed == [(4, 3)] and epochs[0] == 4
    assert all("weights.pt" in entry.record["files"] for entry in RunStore(tmp_path / "runs").entries())
    assert_equal(tmp_path / "runs", undisturbed)


def test_a_record_says_with_whom_it_began_and_where_it_went_on(
    tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some are done when the state is written; those that go on still have numbers of a group of four."""
    epochs = sorted(len(history) for history, _ in results(undisturbed).values())
    interrupted(tmp_path, epochs[0] + 1)
    assert 0 < len(results(tmp_path)) < 4, "none is done, or all are: a weak test"
    hardware = provenance.hardware
    monkeypatch.setattr(provenance, "hardware", lambda device: {**hardware(device), "processor": "another"})
    go_on(tmp_path)
    records = [entry.record for entry in RunStore(tmp_path).entries()]
    assert {(record["replicas"], record["together"]) for record in records} == {(4, "0-3")}
    moved = [record for record in records if record["processor"] == "another"]
    assert moved and all(record["resumed_with_other"] == "processor" for record in moved)
    assert all("resumed_with_other" not in record for record in records if record not in moved)
    assert "resumed_with_other" in platforms_differ(moved[0], moved[0])


def test_what_is_passed_over_is_said(tmp_path: Path) -> None:
    interrupted(tmp_path, 3, "fast=true")
    outcome, epochs = go_on(tmp_path, "fast=false")
    assert epochs[0] == 1 and outcome.resumed == []
    assert any("stood after epoch 3 began anew" in said and " fast " in said for said in outcome.remarks)


def test_what_the_file_system_says_for_a_moment_costs_no_state(
    tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(state: Any, done: int) -> None:
        if state.epoch == 3:
            raise OSError(errno.ESTALE, "Stale file handle")

    outcome = execute(settings(tmp_path), stale)
    assert len(outcome.lost) == 4 and len(left(tmp_path)) == 1
    outcome, epochs = go_on(tmp_path)
    assert outcome.resumed == [(4, 3)] and epochs[0] == 4
    assert_equal(tmp_path, undisturbed)


def test_who_holds_a_run_may_be_unknown_for_a_moment(
    tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(self: RunStore, run_id: str) -> bool:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(RunStore, "is_mine", unknown)
    monkeypatch.setattr(workers, "BEAT", 0.0)
    assert len(go_on(tmp_path)[0].trained) == 4
    assert_equal(tmp_path, undisturbed)


def test_no_more_seeds_go_on_together_than_are_asked_for(tmp_path: Path) -> None:
    interrupted(tmp_path, 3)
    outcome, epochs = go_on(tmp_path, "replicas=2")
    assert outcome.resumed == [] and epochs[0] == 1 and len(outcome.trained) == 4


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _empty(content: bytes) -> bytes:
    return b""


def _of_another_version(content: bytes) -> bytes:
    whole = torch.load(io.BytesIO(content[DIGEST:]), weights_only=True)
    return _with_digest({**whole, "conditions": {**whole["conditions"], "torch_version": "1.0"}})


def _without_state(content: bytes) -> bytes:
    return _with_digest({"state": {"seeds": [0, 1, 2, 3]}, "elapsed": 1.0, "conditions": {}})


def _with_digest(whole: Any) -> bytes:
    file = io.BytesIO()
    torch.save(whole, file)
    return hashlib.sha256(file.getvalue()).hexdigest().encode() + file.getvalue()


def _that_would_act(content: bytes) -> bytes:
    """A pickle that calls something when it is read."""
    payload = pickle.dumps(Acting())
    return hashlib.sha256(payload).hexdigest().encode() + payload


class Acting:
    def __reduce__(self) -> Any:
        return (os._exit, (3,))


@pytest.mark.parametrize(
    "change", [_cut, pytest.param(_empty, marks=pytest.mark.slow), _of_another_version, _without_state, _that_would_act]
)
def test_what_is_no_state_of_this_cell_is_left_aside(
    tmp_path: Path, undisturbed: Path, change: Callable[[bytes], bytes]
) -> None:
    interrupted(tmp_path, 2)
    (saved,) = (tmp_path / module.NAME).iterdir()
    saved.write_bytes(change(saved.read_bytes()))
    outcome, epochs = go_on(tmp_path)
    assert outcome.resumed == [] and epochs[0] == 1
    assert_equal(tmp_path, undisturbed)
    assert left(tmp_path) == []


def test_a_state_that_cannot_be_written_costs_no_run(
    tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checked, "replaced_file", full)
    outcome, _ = go_on(tmp_path, EVERY_EPOCH)
    assert len(outcome.trained) == 4 and any("No space left" in remark for remark in outcome.remarks)
    assert_equal(tmp_path, undisturbed)
    assert left(tmp_path) == []


def test_without_checkpoints_there_are_none(tmp_path: Path) -> None:
    interrupted(tmp_path, 2, "checkpoint_minutes=0")
    assert left(tmp_path) == []


def test_a_group_that_another_process_holds_is_left_to_it(tmp_path: Path) -> None:
    interrupted(tmp_path, 2)
    cell = left(tmp_path)[0].partition("-s")[0]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), *(f"{cell}-s{seed:02d}" for seed in range(4))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    outcome, epochs = go_on(tmp_path)
    assert outcome.elsewhere == [0, 1, 2, 3] and epochs == [] and len(left(tmp_path)) == 1
    holder.communicate()
