"""A kill or a full disk at any file operation costs at most the run that is being written, and never a finished one."""

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rethinking.configuration.composition import compose_job
from rethinking.errors import UserError
from rethinking.runs import execute as execution
from rethinking.runs import locks
from rethinking.runs.claims import Claims
from rethinking.runs.execute import execute
from rethinking.runs.outcome import Outcome
from rethinking.runs.record import RunRecord
from rethinking.runs.store import RunStore
from rethinking.training.group import train_group
from rethinking.training.state import Replica
from tests.conftest import FEW_DIGITS
from tests.runs.test_store import head, record, rewritten, write
from tests.spanning import spanning

DATA = ("dataset=digits", f"splits={FEW_DIGITS}", "trainer.max_epochs=1", "trainer.batch_size=512")
CELL = ("model=graclus", "pooling=learned", *DATA)
QUICK = (*CELL, "diagnosed_graphs=0")
Call = Callable[..., subprocess.CompletedProcess[str]]
RUN = "abc-s01"
FILE_OPERATIONS = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir")
FULL = OSError(errno.ENOSPC, "No space left on device")
KILLED, REFUSED, HEEDLESS = 9, 3, 4


def new() -> RunRecord:
    """Another result of the run."""
    return replace(record(RUN), scores={**record(RUN).scores, "test_accuracy": 0.75})


def meet(number: int, fault: Callable[[], None], work: Callable[[], None]) -> int:
    """Do some work in a process that meets a fault at its file operation of this number.

    Returns its exit status: 0 if it has fewer operations.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    met = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal met
        if event in FILE_OPERATIONS:
            met += 1
            if met == number:
                fault()

    sys.addaudithook(count)
    try:
        work()
    except (OSError, UserError):
        os._exit(REFUSED)
    os._exit(HEEDLESS if met >= number else 0)


def kill() -> None:
    os._exit(KILLED)


def fill_the_disk() -> None:
    raise FULL


def rewrite(store: RunStore) -> None:
    """As a sweep does that trains a finished run anew."""
    with store.claim(RUN, head(RUN)) as mine:
        assert mine
        store.write_result(new())


def measure(store: RunStore) -> None:
    """As a command does that measures a finished run."""
    with store.claim(RUN, head(RUN)) as mine:
        assert mine
        store.write_diagnostics(RUN, {"hops": 2.0}, {})


@pytest.mark.parametrize(
    ("fault", "status", "work"),
    spanning([(*fault, work) for fault in ((kill, KILLED), (fill_the_disk, REFUSED)) for work in (rewrite, measure)]),
)
def test_a_finished_run_outlives_a_fault_at_any_point(
    tmp_path: Path, fault: Callable[[], None], status: int, work: Callable[[RunStore], None]
) -> None:
    """There is the old one or the new one afterwards; what was left lying is gone at the next try."""
    store = RunStore(tmp_path)
    write(store, RUN)
    old = store.read(RUN).record
    statuses = []
    for number in range(1, 100):
        statuses.append(meet(number, fault, lambda: work(store)))
        entry = store.entry(RUN)
        assert entry.state == "done", number
        assert [entry.run_id for entry in store.entries()] == [RUN]
        assert len(store.history(RUN)) == 2 and len(store.predictions(RUN)) == 2 and store.config(RUN)
        if statuses[-1] == REFUSED:
            assert entry.record == old, "told that it failed, though it is written"
        write(store, RUN)
        old = store.read(RUN).record
        assert list((tmp_path / ".tmp").iterdir()) == []
        if statuses[-1] == 0:
            break
    else:
        pytest.fail("the work never came to its end")
    assert statuses.count(status) >= 4, "few faults were met: a weak test"


def test_a_failure_never_replaces_a_finished_run(tmp_path: Path) -> None:
    """Trained anew for its weights, it may fail: out of memory, say."""
    store = RunStore(tmp_path)
    write(store, RUN)
    store.write_failure(RUN, {}, head(RUN), "out of memory")
    assert store.entry(RUN).state == "done"


def test_a_full_disk_costs_one_run_which_is_tried_again_unasked(
    rethinking: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = RunStore.write_result

    def full(store: RunStore, record: RunRecord) -> None:
        if record.head["seed"] == 1:
            raise FULL
        written(store, record)

    with monkeypatch.context() as patched:
        patched.setattr(RunStore, "write_result", full)
        first = rethinking("run", *QUICK, "seeds=3")
    assert first.returncode == 1 and "Traceback" not in first.stderr
    assert "2/3 seeds done (2 trained, 0 done before, 1 NOT KEPT)" in first.stderr
    assert "not kept: seed 1 (No space left on device). The same command tries again." in first.stderr
    assert not list(tmp_path.glob("runs/*/error.txt"))
    again = rethinking("run", *QUICK, "seeds=3")
    assert again.returncode == 0 and "(1 trained, 2 done before)" in again.stderr
    with monkeypatch.context() as patched:
        patched.setattr(RunStore, "write_result", full)
        anew = rethinking("run", *QUICK, "seeds=3", "save_model=true")
    assert anew.returncode == 1, "its weights were asked for, and are not there"
    assert {entry.state for entry in RunStore(tmp_path / "runs").entries()} == {"done"}


def test_an_error_while_one_run_is_written_fails_that_run_alone(
    rethinking: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = RunStore.write_result

    def broken(store: RunStore, record: RunRecord) -> None:
        if record.head["seed"] == 1:
            raise ValueError("a column that cannot be written")
        written(store, record)

    monkeypatch.setattr(RunStore, "write_result", broken)
    result = rethinking("run", *QUICK, "seeds=3")
    assert result.returncode == 1 and "(2 trained, 0 done before, 1 FAILED)" in result.stderr
    assert len(list(tmp_path.glob("runs/*/error.txt"))) == 1


def test_of_two_groups_one_fails_and_the_other_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds whose splits differ in size train apart."""
    trained = []

    def failing(*, seeds: list[int], **arguments: Any) -> Iterator[Replica]:
        trained.append(seeds)
        if 0 in seeds:
            raise RuntimeError("not today")
        return train_group(seeds=seeds, **arguments)

    monkeypatch.setattr(execution, "train_group", failing)
    monkeypatch.setattr(execution, "_of_equal_sizes", lambda splits: [[0, 2], [1]])
    outcome = execute(replace(compose_job((*QUICK, "seeds=3")), runs=tmp_path), lambda state, done: None)
    assert trained == [[0, 2], [1]]
    assert sorted(outcome.failed) == [0, 2] and outcome.trained == [1]


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    store = RunStore(tmp_path)
    store.check_writable()
    return Claims(compose_job([*CELL, "seeds=9"]), store, Outcome("title", "abc"))


def test_claims_need_no_open_files(claims: Claims) -> None:
    """So a process may hold as many runs as it likes."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    with claims:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 8, limit[1]))
        try:
            assert claims.take(list(range(300)), 300) == list(range(300)) and not claims.outcome.lost
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOLCK, errno.ENOSPC, errno.EACCES])
def test_what_cannot_be_claimed_is_told_and_nothing_else_lost(
    claims: Claims, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    rename = Path.rename

    def broken(path: Path, target: Path) -> Path:
        if target.name.endswith("-s01"):
            raise OSError(number, os.strerror(number))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", broken)
    with claims:
        assert claims.take([0, 1, 2], 3) == [0, 2]
    assert list(claims.outcome.lost) == [1] and os.strerror(number) in claims.outcome.remarks[0]


def test_a_run_of_another_user_is_not_trained_in_vain(claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    claims.store.write_failure(RUN, {}, head(RUN), "NaN")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert claims.take([1], 1) == []
    assert "Permission denied" in claims.outcome.lost[1] and RUN in claims.outcome.lost[1]


def test_a_lock_of_another_user_can_be_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose file may be read only."""
    opened = os.open

    def foreign(path: Any, flags: int, *mode: int) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *mode)

    (tmp_path / "lock").touch()
    monkeypatch.setattr(locks.os, "open", foreign)
    with locks.lock(tmp_path / "lock") as mine:
        assert mine and locks.is_locked(tmp_path / "lock")


def test_a_store_that_cannot_take_runs_is_refused_before_any_work(tmp_path: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limit[1]))
    try:
        with pytest.raises(UserError, match="cannot be written"):
            RunStore(tmp_path).check_writable()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def test_finished_runs_are_known_without_a_claim(claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a store of somebody else's will do for them."""
    write(claims.store, RUN)
    monkeypatch.setattr(RunStore, "claim", None)
    assert claims.take([1], 1) == [] and claims.outcome.kept == [1]


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a b", "..", "abc-s01.old"])
def test_nothing_is_read_outside_of_the_store(tmp_path: Path, name: str) -> None:
    store = RunStore(tmp_path / "runs")
    write(store, RUN)
    assert store.entry(name).state == "damaged" and store.config(name) == {}
    for read in (store.history, store.predictions, store.weights):
        with pytest.raises(ValueError):
            read(name)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_the_place_of_a_run_is_replaced_and_what_it_leads_to_stays(tmp_path: Path, there: bool) -> None:
    elsewhere = tmp_path / "elsewhere"
    if there:
        elsewhere.mkdir()
        (elsewhere / "file").touch()
    store = RunStore(tmp_path / "runs")
    store.check_writable()
    (store.folder / RUN).symlink_to(elsewhere)
    write(store, RUN)
    assert store.entry(RUN).state == "done" and not (store.folder / RUN).is_symlink()
    assert list((store.folder / ".tmp").iterdir()) == [] and (elsewhere / "file").exists() == there


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "../x"},
        {"dataset": None},
        {"family": ["a"]},
        {"variant": "a\x1b[31m"},
        {"schema": "2"},
        {"metric": []},
    ],
)
def test_strange_records_are_damaged(tmp_path: Path, change: dict[str, Any]) -> None:
    store = RunStore(tmp_path)
    write(store, RUN)
    rewritten(tmp_path / RUN / "result.json", **change)
    assert store.entry(RUN).state == "damaged"
    with store.claim(RUN, head(RUN) | change):
        assert store.entry(RUN).record == ({} if change != {"metric": []} else head(RUN) | change)


def test_nesting_without_end_is_damage(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    write(store, RUN)
    (tmp_path / RUN / "result.json").write_text("[" * 100_000)
    (tmp_path / RUN / "config.yaml").write_text("[" * 10_000)
    assert store.entry(RUN).state == "damaged" and store.config(RUN) == {}


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04"])
def test_weights_that_are_none_are_one_sentence(tmp_path: Path, content: bytes) -> None:
    store = RunStore(tmp_path)
    write(store, RUN)
    (tmp_path / RUN / "weights.pt").write_bytes(content)
    with pytest.raises(UserError, match="holds no weights"):
        store.weights(RUN)


@pytest.mark.parametrize("name", ["../x", "a/b", ".", "", "-x", "a\nb"])
def test_the_name_of_a_data_set_is_one_part_of_a_path(rethinking: Call, name: str) -> None:
    result = rethinking("run", *CELL, f"dataset.name={json.dumps(name)}")
    assert result.returncode == 2 and "cannot name a data set" in result.stderr and "Traceback" not in result.stderr
