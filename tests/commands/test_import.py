"""`rethinking import` takes what is whole, once; nothing where there is a conflict; and trusts nothing."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rethinking.analysis import imported, imported_results
from rethinking.analysis.collect import collect
from rethinking.analysis.tidy import read_results
from rethinking.errors import UserError
from rethinking.runs import foreign
from rethinking.runs.store import RunStore
from tests.analysis.conftest import NCI1, fill
from tests.analysis.test_collect import contents, rewritten

Call = Callable[..., CompletedProcess[str]]
SCORES = np.array([0.8, 0.81, 0.79])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stores with one cell in common, a third that contradicts the first, and results of each."""
    folder = tmp_path_factory.mktemp("made")
    for name, learned, others in (
        ("mine", SCORES[:2], "uniform"),
        ("theirs", SCORES, "complement"),
        ("odd", [0.9], ""),
    ):
        store = RunStore(folder / name)
        fill(store, NCI1 + "learned", np.array(learned))
        if others:
            fill(store, NCI1 + others, SCORES[:2])
        collect(store, folder / f"{name}_results")
    return folder


@pytest.fixture(params=["", "_results"], ids=["store", "results"])
def kind(request: pytest.FixtureRequest, made: Path, tmp_path: Path) -> str:
    """Copies of all, as `mine`, `theirs` and `odd`."""
    for name in ("mine", "theirs", "odd"):
        shutil.copytree(made / f"{name}{request.param}", tmp_path / name)
    return str(request.param)


@pytest.fixture
def take(kind: str, rethinking: Call) -> Callable[..., CompletedProcess[str]]:
    def call(source: str = "theirs") -> CompletedProcess[str]:
        return rethinking("import", source, "--results" if kind else "--runs", "mine")

    return call


def runs(folder: Path, kind: str) -> set[tuple[str, float]]:
    """Of what a folder has, the ids with their test scores; every file of it is read."""
    store, results = (folder / "none", folder) if kind else (folder, folder / "none")
    read = read_results(RunStore(store, anew=True), results)
    for cell in read.cells:
        assert read.history(cell)["seed"].nunique() == read.predictions(cell)["seed"].nunique() == len(read.seeds[cell])
    assert not read.left_out
    chosen = read.runs[(read.runs.split == "test") & (read.runs.metric == "accuracy")]
    return set(zip(chosen.run_id, chosen.value, strict=True))


def sound(folder: Path) -> dict[str, bytes]:
    """All files but those that are nobody's data."""
    return {name: text for name, text in contents(folder).items() if "/." not in f"/{name}"}


def test_what_is_new_is_taken_once(take: Call, kind: str, tmp_path: Path) -> None:
    theirs = contents(tmp_path / "theirs")
    expected = runs(tmp_path / "mine", kind) | runs(tmp_path / "theirs", kind)
    done = take()
    assert done.returncode == 0, done.stderr
    assert "3 runs of theirs/ added to mine/, 2 were there already." in done.stdout
    assert runs(tmp_path / "mine", kind) == expected and len(expected) == 7
    before = sound(tmp_path / "mine")
    again = take()
    assert again.returncode == 0 and "0 runs of theirs/ added to mine/, 5 were there already." in again.stdout
    assert sound(tmp_path / "mine") == before and contents(tmp_path / "theirs") == theirs


def test_a_conflict_writes_nothing_and_is_named(take: Call, kind: str, tmp_path: Path) -> None:
    before = sound(tmp_path / "mine")
    done = take("odd")
    assert done.returncode == 1
    assert "(graclus / learned / nci1, seed 0): test_accuracy 0.8 here, 0.9 there" in done.stderr
    assert "Nothing was imported: 1 run is in odd/ and in mine/ with different content." in done.stderr
    assert sound(tmp_path / "mine") == before


def test_into_nothing_and_from_nothing(rethinking: Call, made: Path, tmp_path: Path) -> None:
    for name, folder in (("theirs", "runs"), ("theirs_results", "results")):
        done = rethinking("import", str(made / name))
        assert done.returncode == 0 and f"5 runs of {made / name}/ added to {folder}/." in done.stdout
    assert runs(tmp_path / "runs", "") == runs(tmp_path / "results", "results")
    (tmp_path / "empty").mkdir()
    for source, sentence in (("empty", "is neither a results folder"), ("nowhere", "is no folder")):
        refused = rethinking("import", source)
        assert refused.returncode == 2 and sentence in refused.stderr and len(refused.stderr.splitlines()) == 1


class Killed(BaseException):
    """What ends a process; nothing catches it."""


def test_after_a_kill_the_same_command_does_the_rest(
    rethinking: Call, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RunStore(tmp_path / "runs")
    taken: list[Path] = []
    take = RunStore.take

    def die(self: RunStore, written: Path) -> None:
        if len(taken) == 2:
            raise Killed
        taken.append(written)
        take(self, written)

    with monkeypatch.context() as patched:
        patched.setattr(RunStore, "take", die)
        with pytest.raises(Killed):
            imported.import_store(made / "theirs", store)
    assert len(runs(store.folder, "")) == 2
    done = rethinking("import", str(made / "theirs"))
    assert done.returncode == 0 and "3 runs of" in done.stdout and "2 were there already" in done.stdout
    assert runs(store.folder, "") == runs(made / "theirs", "")


def test_a_run_that_another_process_trains_is_left_to_it(rethinking: Call, made: Path, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    store.check_writable()
    run = sorted(path.name for path in (made / "theirs").glob("*-s01"))[0]
    with store.claim(run, {}) as mine:
        assert mine
        done = rethinking("import", str(made / "theirs"))
    assert done.returncode == 3 and "1 are in the hands of another process" in done.stdout
    assert len(runs(store.folder, "")) == 4


def first(folder: Path) -> Path:
    return sorted(folder.glob("[!.]*-s00"))[0]


def link(path: Path) -> None:
    path.rename(path.with_name("aside"))
    path.symlink_to(path.parent.parent.parent / "secret")
    path.with_name("aside").unlink()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def rows(path: Path) -> None:
    """A short file that stands for a long table."""
    pd.DataFrame({"epoch": np.zeros(10**6, np.int64)}).to_parquet(path)


HOSTILE: list[tuple[str, Callable[[Path], Any], str]] = [
    *((name, link, "no ordinary file, or a link") for name in ("config.yaml", "result.json", "history.parquet")),
    ("predictions.parquet", pipe, "no ordinary file, or a link"),
    ("history.parquet", cut, "history.parquet cannot be read"),
    ("history.parquet", rows, "more than are read"),
    ("result.json", cut, "result.json cannot be read"),
    ("config.yaml", lambda path: path.write_text("!!python/object/apply:os.mkdir [hacked]"), "config.yaml is not as"),
    ("config.yaml", lambda path: path.write_text("a" * 5000), "more than 4000"),
    ("weights.pt", lambda path: path.write_bytes(b"cos\nsystem\n(S'mkdir hacked'\ntR."), "not among the files"),
    ("evil.pkl", lambda path: path.write_bytes(b"cos\nsystem\n(S'mkdir hacked'\ntR."), "'evil.pkl', which is none"),
    ("more", Path.mkdir, "'more', which is none"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "harm", "reason"), HOSTILE)
def test_of_a_hostile_store_what_is_harmed_is_named_and_the_rest_taken(
    rethinking: Call, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, harm: Any, reason: str
) -> None:
    theirs = Path(shutil.copytree(made / "odd", tmp_path / "deep" / "theirs"))
    (tmp_path / "secret").write_text("secret: 1")
    monkeypatch.setattr(foreign, "MOST_NUMBERS", 10**5)
    if "4000" in reason:
        monkeypatch.setattr(foreign, "LARGEST_TEXT", 4000)
    run = first(theirs)
    harm(run / name)
    done = rethinking("import", "deep/theirs")
    assert done.returncode == 1, done.stdout
    (sentence,) = done.stderr.splitlines()
    assert f"deep/theirs/{run.name} is left out" in sentence
    assert reason in sentence
    assert "0 runs of deep/theirs/ added to runs/, 1 left out." in done.stdout
    assert not list((tmp_path / "runs").glob("[!.]*")) and not (tmp_path / "hacked").exists()


def test_names_and_folders_that_lead_elsewhere(rethinking: Call, made: Path, tmp_path: Path) -> None:
    theirs = Path(shutil.copytree(made / "odd", tmp_path / "theirs"))
    run = first(theirs)
    shutil.copytree(run, theirs / "a b")
    (theirs / "linked-s00").symlink_to(made / "mine")
    shutil.copytree(run, theirs / "0123456789ab-s00")
    done = rethinking("import", "theirs")
    assert done.returncode == 1 and "1 run of theirs/ added to runs/, 3 left out." in done.stdout
    assert "theirs/a b is left out: it is no name of a run" in done.stderr
    assert "theirs/linked-s00 is left out: 'linked-s00' is no folder, or a link" in done.stderr
    assert f"theirs/0123456789ab-s00 is left out: result.json belongs to run {run.name}" in done.stderr


@pytest.mark.parametrize("changed", [{"test_accuracy": 0.95}, {"family": "gin"}, {"seed": -1}])
def test_a_record_whose_checksum_was_made_right_but_not_its_content(
    rethinking: Call, made: Path, tmp_path: Path, changed: dict[str, Any]
) -> None:
    theirs = Path(shutil.copytree(made / "odd", tmp_path / "theirs"))
    rewritten(first(theirs), **changed)
    done = rethinking("import", "theirs")
    assert done.returncode == 1 and "0 runs of theirs/ added" in done.stdout
    assert f"theirs/{first(theirs).name} is left out" in done.stderr


def tag(run: Path) -> None:
    with (run / "config.yaml").open("a") as file:
        file.write("\nmore: !!int ''\n")


def of_one_part(run: Path) -> None:
    frame = pd.read_parquet(run / "predictions.parquet")
    frame[frame["part"] == "test"].to_parquet(run / "predictions.parquet")


def measure(run: Path) -> None:
    config = (run / "config.yaml").read_text()
    assert "metric: accuracy" in config
    (run / "config.yaml").write_text(config.replace("metric: accuracy", "metric: other"))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [(tag, "config.yaml"), (of_one_part, "of which there is no val accuracy"), (measure, "other")],
)
def test_what_fits_its_checksums_but_nothing_else_is_named(
    rethinking: Call, made: Path, tmp_path: Path, harm: Callable[[Path], None], reason: str
) -> None:
    theirs = Path(shutil.copytree(made / "odd", tmp_path / "theirs"))
    harm(first(theirs))
    record = json.loads((first(theirs) / "result.json").read_text())
    rewritten(first(theirs), **{f"{part}_other": record[f"{part}_accuracy"] for part in ("val", "test")})
    for command in (("import", "theirs"), ("collect", "--runs", "theirs")):
        done = rethinking(*command)
        assert "Traceback" not in done.stderr and first(theirs).name in done.stderr, done.stderr
        assert reason in done.stderr


def test_results_that_judge_a_known_cell_otherwise_are_named(rethinking: Call, made: Path, tmp_path: Path) -> None:
    """The own files are not to blame."""
    shutil.copytree(made / "mine_results", tmp_path / "results")
    theirs = Path(shutil.copytree(made / "theirs", tmp_path / "theirs"))
    for run in theirs.glob("[!.]*"):
        config = run / "config.yaml"
        config.write_text(config.read_text().replace("margin: 0.01", "margin: 0.02"))
        rewritten(run)
    collect(RunStore(theirs, anew=True), tmp_path / "others")
    before = sound(tmp_path / "results")
    done = rethinking("import", "others")
    assert done.returncode == 1 and "others/cells.yaml: the entry" in done.stderr and "another measure" in done.stderr
    assert "results/histories" not in done.stderr
    assert sound(tmp_path / "results") != before, "what is of other cells is taken"


def test_results_that_cannot_be_written_are_one_sentence(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(imported_results, "scratch", full)
    with pytest.raises(UserError, match=r"Nothing was imported. .*results/ cannot be written: No space left"):
        imported_results.import_results(made / "theirs_results", tmp_path / "results")


@pytest.mark.parametrize("side", ["theirs", "mine"])
def test_a_disk_that_fails_is_the_one_that_is_named(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    def failing(source: Path, target: Path, names: object) -> None:
        raise OSError(errno.EIO, "Input/output error", str((source if side == "theirs" else target) / "result.json"))

    monkeypatch.setattr(imported, "copy_files", failing)
    said = {"theirs": "/theirs/.*/result.json cannot be read", "mine": "/mine/ cannot be written"}[side]
    with pytest.raises(UserError, match=rf"{said} \(Input/output error\); no run was imported"):
        imported.import_store(made / "theirs", RunStore(tmp_path / "mine"))


@pytest.mark.parametrize(
    ("name", "harm", "reason"),
    [
        ("runs.csv", cut, "runs.csv is not as it was collected"),
        ("cells.yaml", link, "cells.yaml is no ordinary file, or a link"),
        ("manifest.yaml", Path.unlink, "manifest.yaml cannot be copied"),
        ("histories/*.parquet", link, "no ordinary file, or a link"),
        ("histories/*.parquet", cut, "cannot be read"),
        ("predictions/*.parquet", Path.unlink, "is missing"),
        ("predictions/evil.pkl", Path.touch, "'evil.pkl', which is none of its files"),
        ("predictions", lambda path: (shutil.rmtree(path), path.symlink_to("/")), "is no folder, or a link"),
    ],
)
def test_results_that_are_not_as_they_were_collected_are_refused(
    rethinking: Call, made: Path, tmp_path: Path, name: str, harm: Any, reason: str
) -> None:
    theirs = Path(shutil.copytree(made / "theirs_results", tmp_path / "deep" / "theirs"))
    (tmp_path / "secret").write_text("secret: 1")
    shutil.copytree(made / "mine_results", tmp_path / "results")
    before = sound(tmp_path / "results")
    harm(next(theirs.glob(name), theirs / name))
    done = rethinking("import", "deep/theirs")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "Nothing was imported. " in done.stderr and "deep/theirs/" in done.stderr and reason in done.stderr
    assert sound(tmp_path / "results") == before
