"""Studies: suites whose parts are measured, each once, kept at once, and shown with what is missing."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pandas as pd
import pytest

from rethinking.analysis.collect import collect
from rethinking.analysis.figures.studies import DRAWN, draw_study
from rethinking.analysis.manifest import read_manifest
from rethinking.analysis.studies import Study, collect_studies, load_study, outcome, study_names
from rethinking.commands import scorecard
from rethinking.errors import UserError
from rethinking.runs.scorecards import of_results, of_store
from rethinking.runs.snapshots import Snapshot
from rethinking.runs.store import RunStore
from rethinking.scorecard import settings
from rethinking.scorecard.card import Drawn, Part
from rethinking.scorecard.measuring import Measure
from tests.analysis.conftest import NCI1, fill

Call = Callable[..., CompletedProcess[str]]
CUBE = Drawn([[0.0, 0, 0], [1, 0, 0], [1, 1, 5]], [(0, 1, 1.0), (1, 2, 0.5)], 2, [0.0, 1.0, 2.0])
MADE = Part(
    {"mse": [0.001, 0.002], "lost": [0.0, 0.0]},
    {"graph": CUBE, "rebuilt": Drawn(CUBE.points)},
    origin={"device_name": "a processor", "torch_version": "2.13", "finished": "2026-01-02T03:04:05+00:00"},
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the graphs that come with PyGSP."""
    file = settings._file()
    file["autoencoder"] |= {"graphs": ["grid2d", "ring"], "runs": 2}
    file["spectral"] |= {"graphs": ["ring"]}
    monkeypatch.setattr(settings, "_file", lambda: deepcopy(file))


@pytest.fixture
def study() -> Study:
    return load_study("src_autoencoder")


def add(folder: Path, study: Study, operators: int, part: Part, graph: str = "grid2d") -> None:
    for operator in study.operators[:operators]:
        of_store(folder).add(study.key(operator), operator.operator, {f"features/{graph}": part})


def test_every_study_has_what_it_names() -> None:
    kinds = {"autoencoder": "features", "spectral": "structure"}
    for study in map(load_study, study_names()):
        assert study.drawn in DRAWN and study.tables and len(study.operators) == 8
        assert kinds[study.experiment] == study.part and study.runs == getattr(study.settings, study.experiment).runs


def test_measured_once_graph_after_graph(
    rethinking: Call, tmp_path: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted command goes on with the next part; then nothing is measured again."""
    measured: list[str] = []

    def interrupted(measure: Measure, make: object, so_far: Part, snapshot: Snapshot) -> Iterator[Part]:
        measured.append(measure.keywords["cloud"].nodes)  # type: ignore[attr-defined]
        if len(measured) == 10:
            raise KeyboardInterrupt
        yield MADE

    monkeypatch.setattr(scorecard, "measured_here", interrupted)
    assert rethinking("reproduce", "src_autoencoder").returncode == 130
    lacking = outcome(study, tmp_path / "runs", tmp_path / "none").lacking
    assert list(lacking.values()) == [{"ring": 0}] * 7 and study.operators[0].title not in lacking
    said = rethinking("status", "src_autoencoder").stdout
    assert f"{study.title} lacks" in said and "  NDP (SRC): ring 0/2\n" in said
    done = rethinking("reproduce", "src_autoencoder")
    assert done.returncode == 0 and len(measured) == 10 + 7, done.stderr
    assert "1.5 ± 0.71" in done.stdout and "missing" not in done.stdout
    assert "NDP rebuilds point clouds best: not so on grid2d" in done.stdout
    assert (tmp_path / "figures" / "figure_src_autoencoder.png").is_file()
    assert rethinking("run", "suite=src_autoencoder").stdout in done.stdout and len(measured) == 17
    assert "lacks" not in rethinking("status", "src_autoencoder").stdout


def test_a_part_goes_on_after_its_last_run(
    rethinking: Call, tmp_path: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs that are done are kept and counted, but a part is shown only when all are."""
    begun: list[int] = []
    first = replace(MADE, values={name: values[:1] for name, values in MADE.values.items()})

    def in_turns(measure: Measure, make: object, so_far: Part, snapshot: Snapshot) -> Iterator[Part]:
        begun.append(so_far.runs)
        if not so_far.runs:
            yield first
            raise KeyboardInterrupt
        assert so_far == first
        yield MADE

    monkeypatch.setattr(scorecard, "measured_here", in_turns)
    key, store = study.key(study.operators[0]), tmp_path / "runs"
    assert rethinking("reproduce", "src_autoencoder").returncode == 130
    assert of_store(store).read(key) == ({"features/grid2d": first}, "")
    assert "DiffPool (SRC): grid2d 1/2, ring 0/2" in rethinking("status", "src_autoencoder").stdout
    made = outcome(study, store, tmp_path / "none")
    assert set(next(iter(made.tables().values()))["grid2d"]) == {"missing"} and made.long_frame().empty
    assert any("DiffPool (SRC) on grid2d (1 of 2 done), ring; MinCut" in note for note in made.notes())
    assert rethinking("reproduce", "src_autoencoder").returncode == 130, "the next one is interrupted, too"
    assert begun == [0, 1, 0] and of_store(store).read(key)[0] == {"features/grid2d": MADE}


def test_what_fails_keeps_the_runs_before(
    rethinking: Call, tmp_path: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = replace(MADE, values={name: values[:1] for name, values in MADE.values.items()})
    monkeypatch.setattr(scorecard, "measured_here", lambda *_: iter([first, Part(problem="the disk is full")]))
    done = rethinking("run", "suite=src_autoencoder")
    assert done.returncode == 1 and "features on grid2d, as the disk is full" in done.stderr
    key = study.key(study.operators[0])
    assert of_store(tmp_path / "runs").read(key)[0] == {"features/grid2d": first, "features/ring": first}


def test_what_cannot_be_measured_is_said_and_tried_again(
    rethinking: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorecard, "measured_here", lambda *_: iter([Part(problem="there is not enough memory")]))
    done = rethinking("run", "suite=src_spectral")
    assert done.returncode == 1
    assert "Not measured of NDP (SRC): structure on ring, as there is not enough memory." in done.stderr
    assert "Missing, not measured in all runs: all operators on ring" in " ".join(done.stdout.split())
    assert len(outcome(load_study("src_spectral"), tmp_path / "runs", tmp_path / "none").lacking) == 8


def test_what_is_there_is_shown_and_the_rest_is_missing(rethinking: Call, tmp_path: Path, study: Study) -> None:
    add(tmp_path / "runs", study, 2, MADE)
    made = outcome(study, tmp_path / "runs", tmp_path / "none")
    (table,) = made.tables().values()
    assert table["grid2d"].tolist() == ["1.5 ± 0.71"] * 2 + ["missing"] * 6
    assert set(table["ring"]) == {"missing"} and set(table["mean rank"]) == {"—"}
    assert any("MinCut (SRC) on ring; NMF (SRC), LaPool" in note for note in made.notes())
    assert "NDP rebuilds point clouds best: not known on grid2d, ring, where numbers are missing." in made.notes()
    assert any(note == "Measured on 2026-01-02 on a processor, with torch 2.13." for note in made.notes())
    draw_study(made)
    frame = pd.read_csv(StringIO(rethinking("table", "src_autoencoder", "--format", "csv").stdout))
    assert len(frame) == 2 * 2 * 2 and set(frame["device_name"]) == {"a processor"}
    nothing = rethinking("figure", "src_spectral")
    assert nothing.returncode == 2 and "rethinking reproduce src_spectral" in nothing.stderr


def test_collected_and_shown_without_the_store(rethinking: Call, tmp_path: Path, study: Study) -> None:
    """A part of the store replaces what was collected before, unless that has more runs; the others stay."""
    add(tmp_path / "runs", study, 8, MADE)
    assert "8 measurements" in rethinking("collect").stdout
    add(tmp_path / "other", study, 1, Part({"mse": [0.5, 0.5]}, origin=MADE.origin))
    add(tmp_path / "fewer", study, 8, Part({"mse": [0.7]}, origin=MADE.origin))
    add(tmp_path / "other", study, 1, MADE, graph="ring")
    assert collect_studies(tmp_path / "other", tmp_path / "results") == 2
    assert collect_studies(tmp_path / "fewer", tmp_path / "results") == 8
    (table,) = outcome(study, tmp_path / "fewer", tmp_path / "results").tables().values()
    assert table["grid2d"].tolist() == ["500 ± 0", *["1.5 ± 0.71"] * 7]
    key = study.key(study.operators[0])
    assert set(of_results(tmp_path / "results").read(key)[0]) == {"features/grid2d", "features/ring"}


def test_the_manifest_lists_scorecards_and_one_that_is_altered_is_refused(tmp_path: Path, study: Study) -> None:
    results = tmp_path / "results"
    runs = RunStore(tmp_path / "runs")
    fill(runs, NCI1 + "learned", np.array([0.8]))
    collect(runs, results)
    add(runs.folder, study, 1, MADE)
    assert collect_studies(runs.folder, results) == 1
    name = f"scorecards/{study.key(study.operators[0])}.json"
    manifest = read_manifest(results)
    assert manifest is not None and manifest[name].rows == 1
    collect(runs, results)
    assert read_manifest(results) == manifest, "collecting runs keeps the entry"
    (results / name).write_text((results / name).read_text().replace("1.0", "1.5"))
    for refused in (lambda: collect(runs, results), lambda: collect_studies(runs.folder, results)):
        with pytest.raises(UserError, match=f"Nothing was collected. .*{name} .*is not as it was collected"):
            refused()


@pytest.mark.parametrize(
    "words",
    [
        ("reproduce", "src_autoencoder", "trainer.max_epochs=3"),
        ("run", "suite=src_autoencoder", "device=cuda"),
        ("run", "suite=table1,src_autoencoder", "seeds=2"),
    ],
)
def test_numbers_are_those_of_the_study(words: tuple[str, ...], rethinking: Call, tmp_path: Path) -> None:
    refused = rethinking(*words)
    assert refused.returncode == 2 and f"{words[-1]} does not go with src_autoencoder" in refused.stderr
    assert not list(tmp_path.iterdir())
