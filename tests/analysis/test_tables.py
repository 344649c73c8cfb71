"""Tables from made-up runs: which runs enter, what stands beside them, how missing cells look."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rethinking.analysis.collect import collect
from rethinking.analysis.parsing import COLUMNS
from rethinking.analysis.render import render
from rethinking.analysis.suites import load_suite, table_names
from rethinking.analysis.tables import (
    Table,
    caption,
    long_frame,
    make_table,
    missing_cells,
    table_texts,
)
from rethinking.analysis.tidy import Results, read_results
from rethinking.configuration.cell import Cell
from rethinking.configuration.composition import compose_cell
from rethinking.errors import UserError
from rethinking.runs.identity import cell_id
from rethinking.runs.store import RunStore
from tests.records import fill_cell, made_up


def cell(pooling: str, *overrides: str) -> Cell:
    return compose_cell(["model=graclus", f"pooling={pooling}", "dataset=nci1", *overrides])


def id_of(cell: Cell) -> str:
    return cell_id(cell, cell.dataset.fingerprint)


LEARNED = list(np.round(0.80 + 0.01 * np.sin(np.arange(20)), 3))
COMPLEMENT = [score + 0.005 for score in LEARNED[:7]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    store = RunStore(tmp_path_factory.mktemp("made") / "runs")
    fill_cell(store, cell("learned"), LEARNED)
    fill_cell(store, cell("complement"), COMPLEMENT)
    fill_cell(store, cell("learned", "model.hidden=32"), [0.5] * 20)
    return store


@pytest.fixture
def store(made: RunStore, tmp_path: Path) -> RunStore:
    return RunStore(Path(shutil.copytree(made.folder, tmp_path / "runs")))


def markdown(made: Table) -> str:
    return render(table_texts(made), "markdown", made.title, [caption(made)])


def table(store: RunStore, results: Path = Path("none")) -> Table:
    return make_table("1", read_results(store, results))


def test_cells_hold_the_papers_configuration_only(store: RunStore) -> None:
    graclus = table(store).cells["Graclus", "NCI1"]
    assert graclus.ours is not None
    assert graclus.ours.mean == pytest.approx(100 * np.mean(LEARNED))
    assert graclus.ours.std == pytest.approx(100 * np.std(LEARNED, ddof=1))
    assert graclus.published is not None
    assert (graclus.seeds_done, graclus.published.mean, graclus.published.std) == (20, 80.1, 1.6)


def test_differences_are_paired_on_the_seeds_that_both_have(store: RunStore) -> None:
    difference = table(store).comparisons["Complement", "Graclus"]["NCI1"].difference
    assert difference is not None
    assert (difference.seeds, difference.mean) == (7, pytest.approx(0.5))


@pytest.mark.parametrize(
    ("shift", "noise", "seeds", "marks"),
    [
        (0.0, 0.001, 20, ["", "≈"]),  # non-local does not matter
        (-0.05, 0.001, 20, ["▲", ""]),  # decided
        (-0.005, 0.03, 20, ["", ""]),  # the best mean, but nothing is decided
        (-0.05, 0.001, 4, ["", ""]),  # too few seeds
        (-0.05, 0.0, 20, ["", ""]),  # no variance
        (-0.05, 0.0, 1, ["", ""]),
    ],
)
def test_marks_are_of_what_is_decided(tmp_path: Path, shift: float, noise: float, seeds: int, marks: list[str]) -> None:
    store = RunStore(tmp_path / "marks")
    fill_cell(store, cell("learned"), LEARNED)
    other = np.array(LEARNED) + shift + noise * np.cos(np.arange(20))
    fill_cell(store, cell("complement"), list(other[:seeds]))
    made = table(store)
    assert [made.cells[row, "NCI1"].mark for row in ("Graclus", "Complement")] == marks
    assert [sign in caption(made) for sign in ("▲", "≈")] == [sign in marks for sign in ("▲", "≈")]


def test_a_margin_in_a_caption_is_the_one_that_its_marks_are_of(tmp_path: Path) -> None:
    """That of the runs, whatever the file of tasks says by now."""
    store = RunStore(tmp_path / "marks")
    other = np.array(LEARNED) + 0.001 * np.cos(np.arange(20))
    fill_cell(store, cell("learned", "tasks.classification.margin=0.02"), LEARNED)
    fill_cell(store, cell("complement", "tasks.classification.margin=0.02"), list(other))
    assert "≈" in caption(table(store)) and "margin 2 points of accuracy" in caption(table(store))


def test_rows_on_other_graphs_have_no_difference(tmp_path: Path) -> None:
    """Of two contents of a data set, as seeds draw their splits from other graphs."""
    store = RunStore(tmp_path / "contents")
    fill_cell(store, cell("learned"), LEARNED)
    for seed, score in enumerate(LEARNED):
        store.write_result(made_up(cell("complement"), seed, score, fingerprint="1234567890abcdef"))
    made = table(store)
    assert made.cells["Complement", "NCI1"].seeds_done == 20
    assert made.comparisons["Complement", "Graclus"]["NCI1"].difference is None
    assert made.cells["Complement", "NCI1"].mark == ""


def test_nothing_is_minus_zero(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "zero")
    fill_cell(store, cell("learned"), LEARNED)
    fill_cell(store, cell("complement"), [score - 1e-9 for score in LEARNED])
    shown = markdown(table(store))
    assert "+0.0 " in shown and not re.search(r"-0\.0+(?!\d)", shown)


def test_what_is_partial_or_missing_says_so(store: RunStore) -> None:
    text = markdown(table(store))
    assert "7/20 seeds" in text
    assert "missing, 0/20" in text
    assert "(80.2 ± 1.4)" in text
    rows = {(row.row, row.dataset): row for row in long_frame(table(store)).itertuples()}
    assert rows["Complement", "NCI1"].seeds == 7
    assert rows["Complement", "NCI1"].difference == pytest.approx(100 * np.mean(COMPLEMENT) - 80.2)
    assert rows["GIN", "NCI1"].published_mean == 80.0
    assert np.isnan(rows["Graclus", "ZINC"].mean)


def test_collected_results_give_the_same_table_and_grow(store: RunStore, tmp_path: Path) -> None:
    results = tmp_path / "results"
    assert collect(store, results).runs == 47
    before = markdown(table(store))
    elsewhere = RunStore(tmp_path / "other")
    assert markdown(table(elsewhere, results)) == before
    frame = pd.read_csv(results / "runs.csv")
    assert list(frame.columns) == COLUMNS
    assert len(frame) == 47 * 5

    written = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    collect(store, results)
    assert {path: path.read_bytes() for path in written} == written, "collecting twice changed the files"
    fill_cell(elsewhere, cell("complement"), [*COMPLEMENT, 0.7])
    assert collect(elsewhere, results).runs == 48
    assert table(RunStore(tmp_path / "none"), results).cells["Complement", "NCI1"].seeds_done == 8
    curves = pd.read_parquet(results / "histories" / f"{id_of(cell('complement'))}.parquet")
    assert sorted(set(curves["seed"])) == list(range(8))


def test_seeds_beyond_the_papers_do_not_enter(store: RunStore) -> None:
    fill_cell(store, cell("learned"), [*LEARNED, 0.0, 0.0])
    graclus = table(store).cells["Graclus", "NCI1"]
    assert graclus.ours is not None
    assert (graclus.ours.n, graclus.ours.mean) == (20, pytest.approx(100 * np.mean(LEARNED)))


def test_lost_provenance_leaves_an_empty_row(store: RunStore, tmp_path: Path) -> None:
    collect(store, tmp_path / "results")
    path = tmp_path / "results" / "provenance.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    (tmp_path / "results" / "manifest.yaml").unlink()
    other = RunStore(tmp_path / "other")
    fill_cell(other, cell("complement"), [0.7])
    assert collect(other, tmp_path / "results").runs == 47
    assert pd.read_csv(path)["schema"].isna().sum() == 1


def test_a_table_shows_one_fidelity_only(store: RunStore) -> None:
    fill_cell(store, cell("learned", "fidelity=released_code"), [0.6] * 20)
    results = read_results(store, Path("none"))
    for fidelity, mean in (("paper", 100 * np.mean(LEARNED)), ("released_code", 60.0)):
        made = make_table("1", results, fidelity)
        graclus = made.cells["Graclus", "NCI1"]
        assert graclus.ours is not None
        assert graclus.ours.mean == pytest.approx(mean)
        assert ("follow fidelity=released_code" in markdown(made)) == (fidelity == "released_code")


@pytest.mark.parametrize("name", table_names())
def test_every_table_has_its_published_values_and_its_cells(name: str, store: RunStore) -> None:
    made = make_table(name, read_results(store, Path("none")))
    # Other readings of what was run are no rows of the paper.
    readings = {row for row, words in load_suite(name).rows.items() if any("fidelity." in word for word in words or ())}
    printed = [cell.published for cell in made.cells.values() if cell.row not in readings]
    assert all(published and np.isfinite(published.mean) for published in printed)
    assert len(made.cells) == len(made.rows) * len(made.columns)
    # The store has one cell of the paper's whole, Graclus on NCI1.
    whole = {(cell.row, cell.dataset) for cell in made.cells.values() if not cell.cited} - {
        (cell.row, cell.dataset) for cell in missing_cells(made)
    }
    assert whole == {"1": {("Graclus", "NCI1")}, "2": {("Graclus (>1 conv)", "NCI1")}}.get(name, set())


def test_no_runs_at_all(tmp_path: Path) -> None:
    empty = read_results(RunStore(tmp_path), tmp_path)
    assert isinstance(empty, Results)
    assert "missing, 0/20" in markdown(make_table("1", empty))


def test_unknown_tables_and_damaged_files_are_said(tmp_path: Path) -> None:
    empty = read_results(RunStore(tmp_path), tmp_path)
    with pytest.raises(UserError, match="no suite '7'"):
        make_table("7", empty)
    (tmp_path / "runs.csv").write_text("run_id,value\n1,2\n")
    damaged = read_results(RunStore(tmp_path / "none"), tmp_path)
    assert damaged.runs.empty and "lacks the columns" in " ".join(damaged.left_out)


def test_a_damaged_file_of_cells(store: RunStore, tmp_path: Path) -> None:
    collect(store, tmp_path / "results")
    (tmp_path / "results" / "cells.yaml").write_text("a: [")
    read = read_results(store, tmp_path / "results")
    assert len(read.cells) == 3 and "cells.yaml cannot be read" in " ".join(read.left_out)


@pytest.mark.parametrize("name", [*table_names(), "control"])
def test_every_table_is_latex_that_any_engine_takes(name: str, store: RunStore) -> None:
    made = make_table(name, read_results(store, Path("none")))
    text = render(table_texts(made), "latex", made.title, [caption(made)])
    body = text.partition(r"\end{table}")[0]
    assert body.isascii() and body.count(r"\begin{tabular}") == 1 and r"\bottomrule" in body
    # A bare tilde would be a space, a bare underscore or ampersand an error.
    assert "~" not in body and "_" not in body.replace(r"\_", "")
    assert all(line.count("&") == len(made.columns) for line in body.splitlines() if line.endswith(r"\\"))


def test_markdown_has_numbers_as_they_are() -> None:
    texts = pd.DataFrame({"name": ["a", "b"], "difference": ["+2.30", "-1"], "needed": ["3", "—"]})
    lines = render(texts, "markdown", "Title", []).splitlines()
    assert lines[2:] == [
        "| name   |   difference | needed   |",
        "|:-------|-------------:|:---------|",
        "| a      |        +2.30 | 3        |",
        "| b      |           -1 | —        |",
    ]
    assert render(texts[:0], "markdown", "Title", []).count("\n") == 4
