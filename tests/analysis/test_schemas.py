"""Runs of schema 1 count until they are replaced, with a mark, and never beside those of schema 2."""

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from rethinking import paths
from rethinking.analysis.collect import collect
from rethinking.analysis.comparisons import compare
from rethinking.analysis.older import _locality as known_classes
from rethinking.analysis.questions import question
from rethinking.analysis.tables import TableCell, caption, long_frame, make_table, table_texts
from rethinking.analysis.tidy import Results, read_results
from rethinking.configuration.composition import compose_cell
from rethinking.errors import UserError
from rethinking.runs.store import RunStore
from tests.analysis.conftest import NCI1, ZINC, fill
from tests.records import made_up, older

Call = Callable[..., subprocess.CompletedProcess[str]]
OLD = 0.7 + 0.01 * np.random.default_rng(5).normal(size=20)
NEW = OLD + 0.1


def collected(folder: Path, cells: dict[str, np.ndarray]) -> Path:
    """A results folder with runs of schema 1 of these cells: other ids, only the configuration, no predictions."""
    store = RunStore(folder / "made")
    for overrides, scores in cells.items():
        fill(store, overrides, scores)
    results = folder / "results"
    collect(store, results)
    stored = yaml.safe_load((results / "cells.yaml").read_text())
    (results / "cells.yaml").write_text(yaml.safe_dump({f"old{id}": older(cell) for id, cell in stored.items()}))
    for name in ("runs", "provenance"):
        table = pd.read_csv(results / f"{name}.csv").assign(**({"schema": 1} if name == "provenance" else {}))
        for column in {"run_id", "cell_id"} & set(table):
            table[column] = "old" + table[column]
        table.to_csv(results / f"{name}.csv", index=False)
    for file in (results / "histories").iterdir():
        file.rename(file.with_name(f"old{file.name}"))
    for file in (results / "predictions").iterdir():
        file.unlink()
    (results / "manifest.yaml").unlink()
    return results


def shown(store: RunStore, results: Path, row: str = "Graclus", column: str = "NCI1") -> TableCell:
    return make_table("1", read_results(store, results)).cells[row, column]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cells = {NCI1 + "learned": OLD, NCI1 + "complement": OLD, ZINC + "learned": OLD}
    return collected(tmp_path_factory.mktemp("made"), cells)


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "results"))


@pytest.mark.parametrize(("seeds", "schema"), [(0, 1), (19, 1), (20, 2)])
def test_new_runs_count_as_soon_as_they_are_as_many(results: Path, tmp_path: Path, seeds: int, schema: int) -> None:
    store = RunStore(tmp_path / "runs")
    fill(store, NCI1 + "learned", NEW[:seeds])
    cell = shown(store, results)
    assert cell.ours is not None and cell.ours.n == 20, "of one schema all, and none of the other"
    assert cell.ours.mean == pytest.approx(100 * (OLD if schema == 1 else NEW).mean(), abs=1e-3)
    assert cell.older == (schema == 1)


def test_files_of_ones_own_change_nothing(results: Path, tmp_path: Path) -> None:
    """What these runs may name is the project's."""
    (tmp_path / "my" / "pooling").mkdir(parents=True)
    (tmp_path / "my" / "pooling" / "mine.yaml").write_text("name: mine\nselect: {}\n")
    known_classes.cache_clear()
    with paths.own_configuration(tmp_path / "my"):
        cell = shown(RunStore(tmp_path / "runs"), results)
    assert cell.ours is not None and cell.older


def test_a_mark_says_so(results: Path, tmp_path: Path, rethinking: Call) -> None:
    made = make_table("1", read_results(RunStore(tmp_path / "none"), results))
    assert "†" in table_texts(made).loc[2, "NCI1"] and caption(made).endswith(
        "† runs of schema 1, without predictions."
    )
    assert long_frame(made).set_index(["row", "dataset"]).loc[("Graclus", "NCI1"), "schema 1"]
    said = rethinking("compare", "--results", str(results), "--format", "markdown").stdout
    assert "20†" in said and "† runs of schema 1, without predictions." in said
    new = RunStore(tmp_path / "new")
    for variant in ("learned", "complement"):
        fill(new, NCI1 + variant, NEW)
    assert "†" not in caption(make_table("1", read_results(new, results)))


def test_the_two_are_never_paired(results: Path, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    both = read_results(store, results)
    assert [c.older for c in compare(both, question())[0]] == [True]
    fill(store, NCI1 + "learned", NEW)
    mixed = read_results(store, results)
    with pytest.raises(UserError, match="complement and learned of graclus on NCI1 are left out while their"):
        compare(mixed, question())
    made = make_table("1", mixed)
    assert made.comparisons["Complement", "Graclus"]["NCI1"].difference is None
    assert [made.cells[row, "NCI1"].mark for row in ("Graclus", "Complement")] == ["", ""]
    fill(store, NCI1 + "complement", NEW)
    assert [c.older for c in compare(read_results(store, results), question())[0]] == [False]


def test_errors_of_schema_1_are_stale(results: Path, tmp_path: Path) -> None:
    """Where lower is better the learning rate was scheduled wrongly: no such run enters anything."""
    everything = read_results(RunStore(tmp_path / "none"), results)
    assert set(everything.runs["dataset"]) == {"nci1"} and "(20 stale ones left out)" in everything.sources[0]
    cell = shown(RunStore(tmp_path / "none"), results, column="ZINC")
    assert cell.ours is None


def test_what_nobody_can_tell_of_schema_1_is_stale_too(results: Path, tmp_path: Path) -> None:
    stored = yaml.safe_load((results / "cells.yaml").read_text())
    for cell in stored.values():
        cell["cell"]["dataset"]["task"]["_target_"] = "somebody.elses.Task"
    (results / "cells.yaml").write_text(yaml.safe_dump(stored))
    assert read_results(RunStore(tmp_path / "none"), results).runs.empty


def test_status_counts_new_runs_and_names_the_old_ones(results: Path, tmp_path: Path, rethinking: Call) -> None:
    fill(RunStore(tmp_path / "runs"), NCI1 + "learned", NEW[:3])
    said = rethinking("status", "table1", "--results", str(results)).stdout
    assert "Graclus: NCI1 3/20 (+20 of schema 1), IMDB-B 0/20," in said


def test_collecting_takes_out_what_is_replaced(results: Path, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    fill(store, NCI1 + "learned", NEW[:19])
    fill(store, ZINC + "learned", NEW)
    assert collect(store, results).runs == 40 + 19 + 20, "old runs of NCI1 stay, those of ZINC go"
    assert len(list((results / "histories").glob("old*"))) == 2
    fill(store, NCI1 + "learned", NEW)
    assert collect(store, results).runs == 20 + 20 + 20
    runs = pd.read_csv(results / "runs.csv")
    cells = yaml.safe_load((results / "cells.yaml").read_text())
    (left,) = [id for id in cells if id.startswith("old")]
    assert set(runs.loc[runs["cell_id"].str.startswith("old"), "variant"]) == {"complement"}
    assert [file.stem for file in (results / "histories").glob("old*")] == [left]
    about = pd.read_csv(results / "provenance.csv")
    assert about["run_id"].str.startswith("old").sum() == 20
    everything = read_results(RunStore(tmp_path / "none"), results)
    for id, cell in everything.cells.items():
        if cell.older:
            with pytest.raises(UserError, match="schema 1, without predictions"):
                everything.predictions(id)
        else:
            assert everything.predictions(id)["seed"].nunique() == 20
    assert not everything.history(left).empty


def test_a_run_that_was_trained_anew_replaces_all_that_is_known_of_it(tmp_path: Path) -> None:
    """Scores, learning curves, measures and predictions, while it is in the store and once it is collected."""
    chosen = compose_cell(["model=graclus", "pooling=learned", "dataset=nci1"])
    store, results = RunStore(tmp_path / "runs"), tmp_path / "results"
    store.check_writable()

    def train(score: float, finished: str, epochs: int, **measures: float) -> None:
        record = made_up(chosen, 0, score, **measures)
        history = pd.DataFrame({"epoch": range(1, epochs + 1), "val_loss": 0.5, "val_accuracy": 0.5})
        provenance = record.provenance | {"finished": finished}
        store.write_result(replace(record, history=history, provenance=provenance))

    train(0.0, "2026-01-01", 5, pool1_hops=3.0)
    train_other = made_up(chosen, 1, 0.5)
    store.write_result(train_other)
    collect(store, results)
    train(1.0, "2026-01-02", 3)

    def check(read: Results) -> None:
        (cell,) = read.cells
        assert read.scores(cell, "accuracy").tolist() == [1.0, 0.5]
        assert read.scores(cell, "pool1_hops").empty
        history, predictions = read.history(cell), read.predictions(cell)
        assert (history.seed == 0).sum() == 3 and (history.seed == 1).sum() == 2
        assert not predictions[predictions.seed == 0].prediction.any(), "right each time"
        assert len(predictions) == 2 * 2 * 1000, "of two runs and parts, once each"

    check(read_results(store, results))
    collect(store, results)
    check(read_results(store, results))
    check(read_results(RunStore(tmp_path / "none"), results))
    files = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    collect(store, results)
    assert files == {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}


def test_no_stale_run_enters_anything(results: Path, tmp_path: Path, rethinking: Call) -> None:
    """ZINC's runs of schema 1, collected and in a store, in what is made from runs."""
    store = RunStore(tmp_path / "runs")
    for variant in ("learned", "complement"):
        fill(store, ZINC + variant, np.array([0.4, 0.5]))
    for path in store.folder.glob("*/result.json"):
        record = json.loads(path.read_text()) | {"schema": 1}
        del record["files"]["predictions.parquet"], record["sha256"]
        path.write_text(json.dumps(record))
    places = ("--results", str(results))
    assert rethinking("export", "--to", "out", *places).returncode == 0
    for name in ("runs", "provenance", "histories", "comparisons"):
        text = (tmp_path / "out" / f"{name}.csv").read_text()
        assert "zinc" not in text.lower() and "mae" not in text, name
    table = pd.read_csv(io.StringIO(rethinking("table", "1", "--format", "csv", *places).stdout))
    assert set(table.loc[table["seeds"] > 0, "dataset"]) == {"NCI1"}
    compared = rethinking("compare", "--format", "markdown", *places).stdout
    assert "| ZINC" not in compared and "4 stale ones left out" in compared and "20 stale ones left out" in compared
    assert "ZINC" not in rethinking("figure", "verdicts", *places).stdout
    assert "yet: IMDB-B, SMNIST, ZINC." in rethinking("figure", "1", *places).stdout
    refused = rethinking("figure", "7", *places)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
