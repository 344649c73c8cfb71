"""Runs are written whole or not at all; what is damaged is named, never raised."""

import hashlib
import itertools
import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rethinking.errors import UserError
from rethinking.runs.identity import SCHEMA
from rethinking.runs.record import RunRecord
from rethinking.runs.store import RunStore, is_stale
from tests.records import PREDICTIONS

HISTORY = pd.DataFrame({"epoch": [1, 2], "val_accuracy": [0.5, 0.75]})


def head(run_id: str) -> dict[str, Any]:
    cell, _, seed = run_id.rpartition("-s")
    return {
        "run_id": run_id, "cell_id": cell, "schema": SCHEMA, "family": "graclus", "variant": "learned",
        "dataset": "digits", "fidelity": "paper", "seed": int(seed),
    }  # fmt: skip


def record(run_id: str) -> RunRecord:
    scores = {"test_accuracy": 0.5, "val_accuracy": 0.5, "test_loss": 1.0, "val_loss": 1.0, "train_loss": 1.0}
    return RunRecord(head(run_id), {"measure": {"metric": "accuracy"}}, scores, HISTORY, PREDICTIONS)


def write(store: RunStore, run_id: str) -> None:
    store.check_writable()
    with store.claim(run_id, {}) as mine:
        assert mine
        store.write_result(record(run_id))


def test_a_written_run_reads_back(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    write(store, "abc-s01")
    (entry,) = store.entries()
    assert (entry.run_id, entry.state) == ("abc-s01", "done")
    assert entry.record["test_accuracy"] == 0.5
    pd.testing.assert_frame_equal(store.history("abc-s01"), HISTORY)
    pd.testing.assert_frame_equal(store.predictions("abc-s01"), PREDICTIONS)
    assert list((tmp_path / "runs" / ".tmp").iterdir()) == []


@pytest.mark.parametrize("file", ["result.json", "config.yaml", "history.parquet", "predictions.parquet"])
@pytest.mark.parametrize("damage", ["cut", "emptied", "deleted", "altered"])
def test_any_damage_is_noticed_and_the_run_counts_as_missing(tmp_path: Path, file: str, damage: str) -> None:
    store = RunStore(tmp_path)
    write(store, "abc-s01")
    write(store, "abc-s02")
    path = tmp_path / "abc-s01" / file
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "emptied":
        path.write_bytes(b"")
    elif damage == "deleted":
        path.unlink()
    else:
        path.write_bytes(content.replace(b"abc", b"xyz") if file == "result.json" else content[::-1])
    states = {entry.run_id: entry for entry in store.entries()}
    assert states["abc-s01"].state == "damaged"
    assert file in states["abc-s01"].problem
    assert states["abc-s02"].state == "done"
    write(store, "abc-s01")
    assert store.entry("abc-s01").state == "done"


@pytest.mark.parametrize(
    "change",
    [
        lambda record: None,
        lambda record: [],
        lambda record: {**record, "files": []},
        lambda record: {**record, "files": {}},
        lambda record: {key: value for key, value in record.items() if key != "test_accuracy"},
        lambda record: {**record, "test_accuracy": "high"},
        lambda record: {**record, "test_accuracy": 0.999},
    ],
)
def test_a_record_that_is_not_what_was_written_is_damaged(tmp_path: Path, change: Any) -> None:
    store = RunStore(tmp_path)
    write(store, "abc-s01")
    path = tmp_path / "abc-s01" / "result.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    assert store.entry("abc-s01").state == "damaged"


@pytest.mark.parametrize("content", [b"[]", b'{"family": 1}', b"\xff\xfe", b"null"])
def test_a_failed_run_with_a_damaged_record_is_still_a_failed_run(tmp_path: Path, content: bytes) -> None:
    store = RunStore(tmp_path)
    store.check_writable()
    store.write_failure("abc-s01", {}, head("abc-s01"), "NaN")
    (tmp_path / "abc-s01" / "result.json").write_bytes(content)
    (tmp_path / "abc-s01" / "error.txt").write_bytes(b"\xff oh")
    entry = store.entry("abc-s01")
    assert (entry.state, entry.record) == ("failed", {})


def _look_for_ever(folder: Path, started: Any) -> None:
    store = RunStore(folder)
    started.set()
    while True:
        for number in range(20):
            store.entry(f"abc-s{number:02d}")


def test_looking_does_not_get_in_the_way_of_claiming(tmp_path: Path) -> None:
    """A reader that looks all the time must not make a sweep believe that a run is held."""
    store = RunStore(tmp_path)
    store.check_writable()
    context = multiprocessing.get_context("fork")
    started = context.Event()
    reader = context.Process(target=_look_for_ever, args=(tmp_path, started))
    reader.start()
    assert started.wait(timeout=60)
    for number in range(300):
        with store.claim(f"abc-s{number % 20:02d}", {}) as mine:
            assert mine
    reader.kill()
    reader.join()


def test_a_finished_run_is_done_whoever_holds_it(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    write(store, "abc-s01")
    with store.claim("abc-s01", {}):
        assert store.entry("abc-s01").state == "done"


def test_a_failure_is_kept_and_gives_way_to_a_result(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.check_writable()
    store.write_failure("abc-s01", {}, head("abc-s01"), "NaN in epoch 3")
    entry = store.entry("abc-s01")
    assert (entry.state, entry.problem) == ("failed", "NaN in epoch 3")
    assert (tmp_path / "abc-s01" / "error.txt").read_text() == "NaN in epoch 3"
    write(store, "abc-s01")
    assert store.entry("abc-s01").state == "done"
    assert not (tmp_path / "abc-s01" / "error.txt").exists()


def test_a_foreign_folder_in_the_store_is_damaged_not_fatal(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (entry,) = RunStore(tmp_path).entries()
    assert entry.state == "damaged"


def rewritten(path: Path, **changed: Any) -> None:
    """A `result.json` with something changed, and a checksum that fits."""
    whole = json.loads(path.read_text()) | changed
    del whole["sha256"]
    digest = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({**whole, "sha256": digest}))


def test_runs_of_schema_1_are_stale_not_damaged(tmp_path: Path) -> None:
    """They have no predictions."""
    store = RunStore(tmp_path)
    write(store, "abc-s01")
    path = tmp_path / "abc-s01"
    files = json.loads((path / "result.json").read_text())["files"]
    del files["predictions.parquet"]
    rewritten(path / "result.json", files=files)
    assert store.entry("abc-s01").state == "damaged", "a run of this schema needs its predictions"
    rewritten(path / "result.json", files=files, schema=1)
    entry = store.entry("abc-s01")
    assert entry.state == "done" and is_stale(entry)


@pytest.mark.parametrize("changed", [{"cell_id": "../elsewhere"}, {"cell_id": "other"}, {"seed": 2}, {"seed": "1"}])
def test_ids_are_one_part_of_a_path(tmp_path: Path, changed: dict[str, Any]) -> None:
    store = RunStore(tmp_path)
    write(store, "abc-s01")
    rewritten(tmp_path / "abc-s01" / "result.json", **changed)
    assert store.entry("abc-s01").state == "damaged"


@pytest.mark.parametrize("text", ["!!python/object/apply:os.getcwd []", "[1]", "a: [", ""])
def test_a_configuration_is_data_or_nothing(tmp_path: Path, text: str) -> None:
    store = RunStore(tmp_path)
    write(store, "abc-s01")
    (tmp_path / "abc-s01" / "config.yaml").write_text(text)
    assert store.config("abc-s01") == {}


def _hold(folder: Path, run_id: str, claimed: Any) -> None:
    with RunStore(folder).claim(run_id, head(run_id)) as mine:
        claimed.put(mine)
        time.sleep(60)


def test_a_claim_excludes_others_and_dies_with_its_process(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.check_writable()
    context = multiprocessing.get_context("fork")
    claimed = context.Queue()
    process = context.Process(target=_hold, args=(tmp_path, "abc-s01", claimed))
    process.start()
    assert claimed.get(timeout=60)
    entry = store.entry("abc-s01")
    assert (entry.state, entry.record["family"]) == ("running", "graclus")
    with store.claim("abc-s01", {}) as mine:
        assert not mine
    process.kill()
    process.join()
    assert store.entry("abc-s01").state == "missing"
    with store.claim("abc-s01", {}) as mine:
        assert mine


def _write_for_ever(folder: Path, started: Any) -> None:
    store = RunStore(folder)
    started.set()
    for number in itertools.count():
        write(store, f"abc-s{number % 40:02d}")


def test_killing_a_writer_at_any_moment_leaves_no_half_run(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    # Forked, because loading everything anew takes seconds; what is written is the same.
    context = multiprocessing.get_context("fork")
    seen: set[str] = set()
    for moment in (0.0, 0.03, 0.11, 0.27, 0.5):
        started = context.Event()
        writer = context.Process(target=_write_for_ever, args=(tmp_path, started))
        writer.start()
        assert started.wait(timeout=60)
        time.sleep(moment)
        writer.kill()
        writer.join()
        entries = store.entries()
        # None may be half there, nor may one be missing that was only being replaced.
        assert {entry.state for entry in entries} <= {"done"}
        assert seen <= {entry.run_id for entry in entries}
        seen |= {entry.run_id for entry in entries}
    assert seen
    write(store, "abc-s00")


def test_an_unwritable_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        RunStore(tmp_path / "file" / "runs").check_writable()
