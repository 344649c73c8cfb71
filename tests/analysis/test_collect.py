"""A results folder grows as a whole or not at all, never loses a run, and takes nothing that makes no sense."""

import json
import multiprocessing
import os
import shutil
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from rethinking.analysis import replacing
from rethinking.analysis.collect import collect
from rethinking.analysis.collected import read_collected, read_listed
from rethinking.analysis.manifest import TABLES
from rethinking.analysis.tidy import read_results
from rethinking.errors import UserError
from rethinking.runs.locks import lock
from rethinking.runs.store import RunStore
from tests.analysis.conftest import NCI1, fill
from tests.conftest import ROOT

Call = Callable[..., subprocess.CompletedProcess[str]]
SCORES = np.array([0.8, 0.81, 0.79])


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder but the lock, which stays."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, what is collected of it, and a store with more."""
    folder = tmp_path_factory.mktemp("made")
    store, more = RunStore(folder / "runs"), RunStore(folder / "more")
    fill(store, NCI1 + "learned", SCORES)
    fill(more, NCI1 + "learned", np.array([0.7, 0.81, 0.79, 0.8]))
    fill(more, NCI1 + "complement", SCORES)
    collect(store, folder / "results")
    return folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> RunStore:
    return RunStore(Path(shutil.copytree(made / "runs", tmp_path / "runs")))


@pytest.fixture
def more(made: Path, tmp_path: Path) -> RunStore:
    return RunStore(Path(shutil.copytree(made / "more", tmp_path / "more")))


@pytest.fixture
def results(store: RunStore, made: Path, tmp_path: Path) -> Path:
    """What is collected of the store."""
    return Path(shutil.copytree(made / "results", tmp_path / "results"))


def rewritten(run: Path, **changed: Any) -> None:
    """A run whose record has something changed, and all whose checksums fit what is there."""
    record = json.loads((run / "result.json").read_text()) | changed
    record.pop("sha256", None)
    files = [name for name in record["files"] if record["schema"] != 1 or name != "predictions.parquet"]
    record["files"] = {name: sha256((run / name).read_bytes()).hexdigest() for name in files}
    digest = sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    (run / "result.json").write_text(json.dumps({**record, "sha256": digest}))


def test_the_repositorys_own_results_are_as_they_were_collected() -> None:
    read = read_collected(ROOT / "results")
    assert not read.problems and read.manifest is not None
    for name in read.manifest:
        assert read_listed(ROOT / "results", name, read.manifest) is not None
    listed = {name for name in read.manifest if name not in TABLES}
    there = [*(ROOT / "results").glob("*/*.parquet"), *(ROOT / "results").glob("scorecards/*.json")]
    assert listed == {str(path.relative_to(ROOT / "results")) for path in there}
    assert read.manifest["runs.csv"].rows == len(read.runs)


def _collect(store: Path, folder: Path) -> None:
    collect(RunStore(store), folder)


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for number, variant in enumerate(("learned", "complement", "uniform")):
        fill(RunStore(tmp_path / f"runs{number}"), NCI1 + variant, SCORES)
    processes = [
        context.Process(target=_collect, args=(tmp_path / f"runs{number}", tmp_path / "results")) for number in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
        assert process.exitcode == 0
    read = read_results(RunStore(tmp_path / "none"), tmp_path / "results")
    assert len(read.cells) == 3 and read.runs["run_id"].nunique() == 9 and not read.left_out
    assert all(read.predictions(cell)["seed"].nunique() == 3 for cell in read.cells)


def test_a_folder_that_is_held_or_cannot_be_written(
    store: RunStore, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacing, "PATIENCE", 0.05)
    with lock(results / ".lock"), pytest.raises(UserError, match="Another process is collecting into"):
        collect(store, results)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/ cannot be written .*; nothing in it was changed"):
        collect(store, tmp_path / "file")


class Killed(BaseException):
    """What ends a process between two steps; nothing catches it."""


def test_a_kill_at_any_moment_loses_nothing(
    store: RunStore, more: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rethinking: Call
) -> None:
    """Before any renaming of a collect that adds cells and replaces a run, and after the last."""
    collect(store, tmp_path / "whole")
    collect(more, tmp_path / "whole")
    expected = contents(tmp_path / "whole")
    told = 0
    for moment in range(100):
        results = tmp_path / f"results{moment}"
        collect(store, results)
        before, left = contents(results), moment

        def die(step: Callable[..., Any], *arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return step(*arguments)

        with monkeypatch.context() as patched:
            for name in ("rename", "replace", "unlink"):
                step = getattr(Path, name)
                patched.setattr(Path, name, lambda *arguments, step=step: die(step, *arguments))
            patched.setattr(replacing.shutil, "rmtree", lambda *arguments, **options: None)
            try:
                collect(more, results)
                over = True
            except Killed:
                over = False
        if over:
            break
        if (results / ".collected").exists():
            told += 1
            with monkeypatch.context() as patched:
                patched.setattr("rethinking.analysis.collected.PATIENCE", 0)
                with pytest.raises(UserError, match="`rethinking collect` finishes it, nothing is lost"):
                    read_collected(results)
            nothing = rethinking("collect", "--runs", "nothing", "--results", str(results))
            assert nothing.returncode == 2 and "no finished runs" in nothing.stderr
            assert contents(results) == expected, "what was begun is finished, whatever there is to collect"
        else:
            kept = {name: content for name, content in contents(results).items() if not name.startswith(".")}
            assert kept == before
        collect(more, results)
        assert contents(results) == expected
    assert told >= 6 and moment < 99


def test_a_full_disk_leaves_the_folder_as_it_was(
    more: RunStore, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(results)

    def full(*arguments: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(replacing, "synchronise", full)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\); nothing in it was changed"):
        collect(more, results)
    assert contents(results) == before


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garble(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\0")


# Without a manifest a folder is one of an older version.
DAMAGES = [
    (kind, damage)
    for kind in (*TABLES, "manifest.yaml", "histories", "predictions")
    for damage in (half, garble, Path.unlink)
    if (kind, damage) != ("manifest.yaml", Path.unlink)
]


@pytest.mark.parametrize(("kind", "damage"), DAMAGES)
def test_what_is_cut_altered_or_gone_is_refused_by_name(
    more: RunStore, results: Path, kind: str, damage: Callable[[Path], None]
) -> None:
    path = results / kind if "." in kind else next((results / kind).iterdir())
    damage(path)
    before = contents(results)
    with pytest.raises(UserError, match=f"Nothing was collected. .*{path.name}.* delete .*manifest.yaml"):
        collect(more, results)
    assert contents(results) == before
    read = read_results(RunStore(results / "none"), results)
    for cell in read.cells:
        read.history(cell)
        read.predictions(cell)
    assert any(path.name in sentence for sentence in read.left_out), "readers go on, and say so"


def test_what_was_changed_on_purpose_is_taken_without_the_manifest(more: RunStore, results: Path) -> None:
    cells = yaml.safe_load((results / "cells.yaml").read_text())
    for stored in cells.values():
        stored["measure"]["margin"] = 0.02
    (results / "cells.yaml").write_text(yaml.safe_dump(cells))
    with pytest.raises(UserError, match=r"cells\.yaml is not as it was collected"):
        collect(more, results)
    (results / "manifest.yaml").unlink()
    assert collect(more, results).runs == 7
    assert not read_collected(results).problems and (results / "manifest.yaml").is_file()


@pytest.mark.parametrize(
    ("column", "text"),
    [("value", "high"), ("seed", ""), ("seed", "1.5"), ("seed", "-1"), ("run_id", ""), ("run_id", "/etc/x"),
     ("cell_id", "../x"), ("family", ""), ("dataset", "../x"), ("variant", "a\0b"), ("fidelity", "")],
)  # fmt: skip
def test_a_row_that_makes_no_sense_costs_its_run_only(more: RunStore, results: Path, column: str, text: str) -> None:
    (results / "manifest.yaml").unlink()
    rows = pd.read_csv(results / "runs.csv", dtype=str)
    rows.loc[2, column] = text
    rows.to_csv(results / "runs.csv", index=False)
    read = read_results(RunStore(results / "none"), results)
    assert len(read.runs) == 10 and "(1 damaged one left out)" in read.sources[0]
    assert "runs.csv: 1 run is left out; line 4 has" in read.left_out[0]
    with pytest.raises(UserError, match=r"Nothing was collected. .*runs\.csv: 1 run"):
        collect(more, results)


@pytest.mark.parametrize("column", ["family", "variant", "dataset", "fidelity"])
def test_runs_that_are_called_otherwise_than_their_cell_are_left_out(
    more: RunStore, results: Path, column: str
) -> None:
    (results / "manifest.yaml").unlink()
    rows = pd.read_csv(results / "runs.csv", dtype=str)
    first = rows["cell_id"] == rows.loc[0, "cell_id"]
    rows.loc[first, column] = "zinc"
    rows.to_csv(results / "runs.csv", index=False)
    read = read_results(RunStore(results / "none"), results)
    assert set(read.runs["run_id"]) == set(rows.loc[~first, "run_id"])
    assert f"has the {column} zinc, where cells.yaml has" in read.left_out[0]
    with pytest.raises(UserError, match=rf"Nothing was collected. .*has the {column} zinc"):
        collect(more, results)


def test_two_scores_of_one_run(results: Path) -> None:
    (results / "manifest.yaml").unlink()
    rows = pd.read_csv(results / "runs.csv", dtype=str)
    pd.concat([rows, rows[:1], rows[5:6].assign(value="0.1")]).to_csv(results / "runs.csv", index=False)
    read = read_results(RunStore(results / "none"), results)
    assert read.runs["run_id"].nunique() == 2 and "two values" in read.left_out[0]


@pytest.mark.parametrize("entry", [None, [], {}, {"schema": 2}, {"schema": 3}, {"schema": 2, "cell": []}])
def test_an_entry_that_is_no_cell_is_damaged_not_stale(results: Path, entry: Any) -> None:
    (results / "manifest.yaml").unlink()
    cells = yaml.safe_load((results / "cells.yaml").read_text())
    (results / "cells.yaml").write_text(yaml.safe_dump(dict.fromkeys(cells, entry)))
    read = read_results(RunStore(results / "none"), results)
    assert read.runs.empty and read.sources == [f"0 runs in {results / 'runs.csv'} (3 damaged ones left out)"]
    assert str(results / "cells.yaml") in read.left_out[0]


FRAMES: list[tuple[str, Callable[[pd.DataFrame], pd.DataFrame], str]] = [
    ("history", lambda frame: frame.drop(columns="epoch"), "lacks the column epoch"),
    ("history", lambda frame: frame.assign(val_accuracy="high"), "something else than numbers in the column val_acc"),
    ("history", lambda frame: frame.assign(epoch=np.nan), "something else than whole numbers in the column epoch"),
    ("history", lambda frame: frame[:0], "has no rows"),
    ("history", lambda frame: frame.assign(epoch=1), "two rows of one"),
    ("predictions", lambda frame: frame.drop(columns="part"), "part"),
    ("predictions", lambda frame: frame.assign(part="train"), "a part that is none of val, test"),
    ("predictions", lambda frame: frame.assign(target="a"), "something else than numbers in the column target"),
    ("predictions", lambda frame: frame.assign(graph=0), "two rows of one"),
    ("predictions", lambda frame: frame.assign(prediction=1 - frame["prediction"]), "accuracy of 0.2, recorded is 0.8"),
]


@pytest.mark.parametrize(("name", "change", "reason"), FRAMES)
def test_a_run_whose_files_are_not_its_own_is_left_out_by_name(
    store: RunStore, tmp_path: Path, rethinking: Call, name: str, change: Any, reason: str
) -> None:
    run = sorted(path for path in store.folder.iterdir() if path.name.endswith("-s00"))[0]
    change(pd.read_parquet(run / f"{name}.parquet")).to_parquet(run / f"{name}.parquet", index=False)
    rewritten(run)
    done = rethinking("collect")
    assert done.returncode == 1 and "results/ holds 2 runs now" in done.stdout
    (sentence,) = done.stderr.splitlines()
    assert run.name in sentence and f"{name}.parquet" in sentence and reason in sentence
    read = read_results(store, tmp_path / "none")
    (cell,) = read.cells
    frame = getattr(read, name)(cell)
    if "recorded" not in reason:  # That is looked at when runs are collected.
        assert frame["seed"].nunique() == 2 and reason in " ".join(read.left_out)


@pytest.mark.parametrize(("name", "change", "reason"), FRAMES[:-1])
def test_a_damaged_file_of_a_cell_is_named_and_read_as_empty(
    more: RunStore, results: Path, name: str, change: Any, reason: str
) -> None:
    (results / "manifest.yaml").unlink()
    (path,) = (results / {"history": "histories"}.get(name, name)).iterdir()
    change(pd.read_parquet(path).astype({"part": str} if name == "predictions" else {})).to_parquet(path, index=False)
    read = read_results(RunStore(results / "none"), results)
    (cell,) = read.cells
    assert getattr(read, name)(cell).empty and path.name in read.left_out[0] and reason in read.left_out[0]
    before = contents(results)
    with pytest.raises(UserError, match=path.name):
        collect(more, results)
    assert contents(results) == before


@pytest.mark.parametrize(
    "changed",
    [{"family": None}, {"family": ["graclus"]}, {"dataset": "../../x"}, {"metric": "loss"}, {"schema": 3},
     {"test_accuracy": True}, {"test_accuracy": float("nan")}, {"best_epoch": "two"},
     {"epochs": 10**400}, {"device_name": "\ud800"}, {"diagnostic_pool1_hops": "far"}, {"diagnostic_accuracy": 0.1}],
)  # fmt: skip
def test_a_record_that_makes_no_sense_is_left_out_by_name(
    store: RunStore, tmp_path: Path, changed: dict[str, Any]
) -> None:
    run = sorted(path for path in store.folder.iterdir() if path.name.endswith("-s00"))[0]
    rewritten(run, **changed)
    made = collect(store, tmp_path / "results")
    assert made.runs == 2 and len(made.left_out) == 1 and run.name in made.left_out[0]
    read = read_results(store, tmp_path / "none")
    assert read.runs["run_id"].nunique() == 2 and "(1 damaged one left out)" in read.sources[0]


@pytest.mark.parametrize(
    "text", [b"", b"\xff\xfe", b"[1]", b"!!python/object/apply:os.getcwd []", b"a: [", b"[" * 10**6]
)
def test_a_configuration_that_is_none_leaves_out_its_cell(store: RunStore, tmp_path: Path, text: bytes) -> None:
    fill(store, NCI1 + "complement", SCORES[:1])
    other = json.loads(next(store.folder.glob("*-s02/result.json")).read_text())["cell_id"]
    for run in store.folder.glob(f"{other}-*"):
        (run / "config.yaml").write_bytes(text)
        rewritten(run)
    made = collect(store, tmp_path / "results")
    assert made.runs == 1 and len(made.left_out) == 3 and "config.yaml" in made.left_out[0]


def test_runs_of_schema_1_alone(store: RunStore, tmp_path: Path, rethinking: Call) -> None:
    for run in store.folder.glob("[!.]*"):
        rewritten(run, schema=1)
    refused = rethinking("collect")
    assert refused.returncode == 2 and "3 finished runs in runs/ are of an older schema" in refused.stderr
    assert not (tmp_path / "results").exists()
    fill(store, NCI1 + "learned", SCORES[:1])
    done = rethinking("collect")
    assert done.returncode == 0 and "1 runs now. 2 in runs/ are of an older schema" in done.stdout


def test_predictions_are_exported(results: Path, rethinking: Call, tmp_path: Path) -> None:
    assert rethinking("export", "--to", "out").returncode == 0
    table = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    dictionary = pd.read_csv(tmp_path / "out" / "dictionary.csv")
    assert set(table) == set(dictionary.loc[dictionary["file"] == "predictions", "column"])
    right = table[table["part"] == "test"].assign(right=lambda t: t["target"] == t["prediction"])
    assert right.groupby("seed")["right"].mean().tolist() == pytest.approx(SCORES)


def test_other_folders_are_left_alone(results: Path, more: RunStore) -> None:
    """Measurements of speed, say."""
    table = results / "benchmarks" / "training.csv"
    table.parent.mkdir()
    table.write_text("family,ours\ngraclus,0.1\n")
    assert collect(more, results).runs == 7
    assert table.read_text() == "family,ours\ngraclus,0.1\n"
    assert not any("benchmarks" in name for name in read_collected(results).manifest or ())
