"""The reference runs: shown where a person has nothing of his own, and nowhere else."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from rethinking import paths
from rethinking.analysis.collect import collect
from rethinking.runs.store import RunStore
from tests.analysis.conftest import NCI1, NOISE, fill
from tests.conftest import ROOT

Call = Callable[..., subprocess.CompletedProcess[str]]
SAID = "runs in the reference results that came with rethinking"


def test_shown_where_there_is_nothing_else(
    rethinking: Call, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a few made-up ones in their place, which are read in a moment."""
    elsewhere = tmp_path_factory.mktemp("reference")
    for variant in ("learned", "complement"):
        fill(RunStore(elsewhere / "runs"), NCI1 + variant, 0.8 + 0.01 * NOISE[:6])
    collect(RunStore(elsewhere / "runs"), elsewhere / "results")
    monkeypatch.setattr(paths, "REFERENCE", elsewhere / "results")
    for command in (["table", "1"], ["compare"]):
        shown = rethinking(*command)
        assert shown.returncode == 0 and SAID in shown.stdout, shown.stderr
    assert rethinking("figure", "verdicts").returncode == 0
    assert (tmp_path / "figures" / "figure_verdicts.png").is_file()


@pytest.mark.parametrize("own", [["--runs", "none"], ["--results", "none"], ["--runs", "none", "--results", "results"]])
def test_what_is_named_is_taken_as_named(rethinking: Call, own: list[str], tmp_path: Path) -> None:
    if "results" in own:
        (tmp_path / "results").mkdir()
    refused = rethinking("compare", *own)
    assert refused.returncode == 2 and "There are no finished runs in" in refused.stderr
    assert SAID not in rethinking("table", "1", *own).stdout


def test_what_is_ones_own_wins(rethinking: Call, tmp_path: Path) -> None:
    """A store first; then results, into which it is collected; the reference runs stay as they are."""
    before = {path: path.stat().st_mtime_ns for path in paths.REFERENCE.iterdir()}
    for variant in ("learned", "complement"):
        fill(RunStore(tmp_path / "runs"), NCI1 + variant, 0.8 + 0.01 * NOISE[:6])
    assert "From 12 runs in runs/.\n" in rethinking("compare").stdout
    assert "results/ holds 12 runs now" in rethinking("collect").stdout
    (tmp_path / "runs").rename(tmp_path / "away")
    assert "From 12 runs in results/runs.csv.\n" in rethinking("compare").stdout
    assert {path: path.stat().st_mtime_ns for path in paths.REFERENCE.iterdir()} == before


def test_status_and_collect_know_nothing_of_them(rethinking: Call, tmp_path: Path) -> None:
    assert "Graclus: NCI1 0/20" in rethinking("status", "table1").stdout
    assert rethinking("collect").returncode == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_wheel_has_them_and_shows_them(tmp_path: Path) -> None:
    """Built from the files of this checkout, unpacked, and used in another folder."""
    source = tmp_path / "source"
    ignored = {".git", ".venv", "runs", "build", "dist"}
    copy = ["cp", "-a", *(str(path) for path in ROOT.iterdir() if path.name not in ignored)]
    source.mkdir()
    subprocess.run([*copy, str(source)], check=True)
    build = "import setuptools.build_meta as backend; print(backend.build_wheel('..'))"
    built = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True, check=True)
    wheel = tmp_path / built.stdout.split()[-1]
    names = zipfile.ZipFile(wheel).namelist()
    parts = sorted(Path(name).name for name in names if name.startswith("rethinking/reference/"))
    assert parts == ["calibration.csv", "cells.yaml", "costs.csv", "provenance.csv", "runs.csv"]
    assert "rethinking/conf/compare.yaml" in names and "rethinking/models/graclus.py" in names
    # Half of it runs.csv, which grows with the runs; predictions and learning curves are left out.
    assert wheel.stat().st_size < 2**21
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "elsewhere").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    for command in (["table", "1"], ["compare"], ["report"], ["figure", "1"]):
        done = subprocess.run(
            [sys.executable, "-m", "rethinking", *command],
            cwd=tmp_path / "elsewhere", env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert SAID in done.stdout or command[0] in ("report", "figure")
    assert SAID in (tmp_path / "elsewhere" / "report.html").read_text()
