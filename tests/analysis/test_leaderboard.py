"""The leaderboard says what runs say of each operator and its own twins, and nothing else does."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra.utils import instantiate
from scipy.stats import ttest_1samp

from rethinking import paths
from rethinking.analysis import leaderboard as module
from rethinking.analysis.checks import operator_note
from rethinking.analysis.collect import collect
from rethinking.analysis.comparisons import compare
from rethinking.analysis.figures import draw
from rethinking.analysis.leaderboard import (
    MEAN,
    NOT_TRAINED,
    leaderboard,
    leaderboard_notes,
    leaderboard_texts,
    leaderboards,
    summary,
)
from rethinking.analysis.questions import NO_POOLING, question
from rethinking.analysis.report.leaderboard import leaderboard_sections
from rethinking.analysis.suites import load_suite
from rethinking.analysis.tidy import Results, read_results
from rethinking.configuration.cell import PAPER
from rethinking.configuration.composition import LEARNED, compose_cell, options
from rethinking.configuration.identity import identity
from rethinking.errors import UserError
from rethinking.runs.store import RunStore
from tests.analysis.conftest import fill

Call = Callable[..., subprocess.CompletedProcess[str]]
SUITE = """
title: "Some: which matter?"
figure: some
drawn: leaderboard
seeds: 10
rows:
  No pooling: [model=host, pooling=none]
operators:
  pyg/TopKPooling: [shuffled, random]
  pyg/EdgePooling: [shuffled, random]
columns: {digits: Digits, mutag: MUTAG}
"""
ON_DIGITS = "model=host dataset=digits pooler=pyg/TopKPooling pooling="


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "some.yaml").write_text(SUITE)
    with paths.own_configuration(tmp_path):
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    """Top-K on one data set: beats its shuffled twin, is as good as no pooling; the random one was not trained."""
    store = RunStore(tmp_path_factory.mktemp("made") / "runs")
    noise = 0.002 * np.random.default_rng(0).normal(size=(3, 10))
    for variant, mean, spread in zip((LEARNED, "shuffled", "none"), (0.9, 0.7, 0.9), noise, strict=True):
        fill(store, ON_DIGITS + variant, mean + spread)
    return store


@pytest.fixture
def results(made: RunStore) -> Results:
    return read_results(made, made.folder / "none")


@pytest.mark.parametrize("model", ["host", "src"])
@pytest.mark.parametrize("variant", ["none", "whole"])
def test_what_takes_no_operator_is_one_cell_for_all(model: str, variant: str) -> None:
    poolers = ("none", "pyg/TopKPooling", "pyg/EdgePooling")
    cells = [compose_cell([f"model={model}", f"pooler={p}", f"pooling={variant}", "dataset=digits"]) for p in poolers]
    assert identity(cells[0], None) == identity(cells[1], None) == identity(cells[2], None)
    twin = compose_cell([f"model={model}", "pooler=pyg/TopKPooling", "pooling=shuffled", "dataset=digits"])
    assert (cells[1].family, twin.family) == (model, "pyg_topkpooling")


@pytest.mark.usefixtures("suite")
def test_it_says_what_the_runs_say(results: Results) -> None:
    board = leaderboard(load_suite("some"), results)
    text = summary(board)
    assert "Of 1 pooling operator on Digits: 1 of 1 beat shuffled (its own clusters, of other nodes): pyg/" in text
    assert "pyg/TopKPooling on Digits; 0 of 1 beat none (no pooling layer)." in text
    assert "Decided one by one: 2 of 2 comparisons (1 × the operator is better, 1 × it does not matter)." in text
    assert text.endswith("matter)."), "there is no mean of one operator"
    (row,) = leaderboard_texts(board).to_dict("records")
    assert row["data set"] == "Digits" and row["source"] == "pyg/TopKPooling" and row["pooler"] == "Top-K (PyG)"
    assert row["shuffled"].startswith("-20"), "by how much the control is better, as everywhere"
    assert "pyg/TopKPooling better by more than 1 point; 10 trained" in row["shuffled"]
    assert "does not matter (within 1 point)" in row["none"]
    assert "random" not in row, "nothing was trained of it"


@pytest.mark.usefixtures("suite")
def test_a_twin_that_was_not_trained_is_a_dash(made: RunStore) -> None:
    fill(made, "model=host dataset=digits pooler=pyg/EdgePooling pooling=learned", np.full(10, 0.8))
    other = read_results(made, made.folder / "none")
    rows = leaderboard_texts(leaderboard(load_suite("some"), other)).set_index("source")
    assert rows.loc["pyg/EdgePooling", "shuffled"] == NOT_TRAINED
    assert rows.loc["pyg/EdgePooling", "none"] != NOT_TRAINED


@pytest.mark.usefixtures("suite")
def test_the_mean_over_operators_is_that_of_each_seed(tmp_path: Path) -> None:
    """As they share the seeds, it is a paired t of the operators' mean difference."""
    store, rng = RunStore(tmp_path / "runs"), np.random.default_rng(0)
    shared = 0.03 * rng.normal(size=10)
    differences = []
    for operator in ("pyg/TopKPooling", "pyg/EdgePooling"):
        # Of the operators alone: what twins have too is in no difference.
        own, twin = (0.7 + mean + 0.02 * rng.normal(size=10) for mean in (0.05 + shared, 0.0))
        fill(store, f"model=host dataset=digits pooler={operator} pooling=learned", own)
        fill(store, f"model=host dataset=digits pooler={operator} pooling=shuffled", twin)
        differences.append(twin - own)
    board = leaderboard(load_suite("some"), read_results(store, store.folder / "none"))
    mean = ttest_1samp(100 * np.mean(differences, axis=0), 0)
    low, high = mean.confidence_interval(0.95)
    expected = f"{100 * np.mean(differences):+.1f} [{low:+.1f}, {high:+.1f}]"
    assert summary(board).endswith(
        f"On average over operators, by how much the control is better, in points: shuffled {expected}."
    )
    row = leaderboard_texts(board).set_index("pooler").loc[MEAN]
    assert row["data set"] == "Digits" and row["shuffled"] == f"{expected}\n2 operators"


@pytest.mark.usefixtures("suite")
def test_who_is_better_is_counted_by_how_it_was_decided(tmp_path: Path) -> None:
    """One operator is better by about a point, which is more than nothing; one is worse than its twin by far."""
    store, rng = RunStore(tmp_path / "runs"), np.random.default_rng(0)
    for operator, mean in (("pyg/TopKPooling", 0.8), ("pyg/EdgePooling", 0.72)):
        fill(store, f"model=host dataset=digits pooler={operator} pooling=learned", np.full(10, mean))
        twin = (0.788 if operator == "pyg/TopKPooling" else 0.8) + 0.005 * rng.permutation(np.linspace(-1, 1, 10))
        fill(store, f"model=host dataset=digits pooler={operator} pooling=shuffled", twin)
    said = summary(leaderboard(load_suite("some"), read_results(store, store.folder / "none")))
    assert "1 of 2 beat shuffled (its own clusters, of other nodes): pyg/TopKPooling on Digits." in said
    assert "2 of 2 comparisons (1 × the operator is better, 1 × the control is better)." in said


@pytest.mark.usefixtures("suite")
def test_a_data_set_on_which_operators_matter_is_named(tmp_path: Path) -> None:
    store, rng = RunStore(tmp_path / "runs"), np.random.default_rng(0)
    for operator in ("pyg/TopKPooling", "pyg/EdgePooling"):
        for dataset, mean in (("digits", 0.7), ("mutag", 0.9)):
            for variant, score in ((LEARNED, mean), ("shuffled", 0.7)):
                cell = f"model=host dataset={dataset} pooler={operator} pooling={variant}"
                noise = 0.01 * rng.normal(size=10)
                fill(store, cell, score + noise - noise.mean())
    said = summary(leaderboard(load_suite("some"), read_results(store, store.folder / "none")))
    average, _, apart = said.partition("On average")[2].partition("Means of one data set that are apart from zero")
    assert average and "shuffled -" in apart and apart.endswith("on MUTAG.") and "on Digits" not in apart


@pytest.mark.usefixtures("suite")
def test_one_operator_is_no_average_over_operators(tmp_path: Path) -> None:
    """On however many data sets."""
    store, rng = RunStore(tmp_path / "runs"), np.random.default_rng(0)
    for dataset in ("digits", "mutag"):
        for variant in (LEARNED, "shuffled"):
            words = f"model=host dataset={dataset} pooler=pyg/TopKPooling pooling={variant}"
            fill(store, words, 0.7 + 0.01 * rng.normal(size=10))
    said = summary(leaderboard(load_suite("some"), read_results(store, store.folder / "none")))
    assert "on Digits, MUTAG" in said and "On average" not in said


@pytest.mark.parametrize("figure", ["figure: some\ndrawn: leaderboard\n", ""])
def test_a_suite_of_ones_own_has_its_titles_and_controls(tmp_path: Path, made: RunStore, figure: str) -> None:
    """It need not be a figure, and calls a data set what it likes."""
    text = SUITE.replace("figure: some\ndrawn: leaderboard\n", figure).replace("digits: Digits", "digits: My digits")
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "some.yaml").write_text(text.replace("[shuffled, random]", "[shuffled, mine]"))
    (tmp_path / "pooling").mkdir()
    own = (paths.CONF / "pooling" / "shuffled.yaml").read_text().replace("name: shuffled", "name: mine")
    (tmp_path / "pooling" / "mine.yaml").write_text(own)
    with paths.own_configuration(tmp_path):
        store = RunStore(shutil.copytree(made.folder, tmp_path / "runs"))
        fill(store, ON_DIGITS + "mine", 0.7 + 0.002 * np.random.default_rng(1).normal(size=10))
        results = read_results(store, tmp_path / "none")
        board = leaderboard(load_suite("some"), results)
        assert "mine" in leaderboard_texts(board) and set(leaderboard_texts(board)["data set"]) == {"My digits"}
        assert "1 of 1 beat mine:" in summary(board) and "on My digits:" in summary(board)
        section = next(s for s in leaderboard_sections(results, PAPER) if s.id == "some")
        assert len(section.pictures) == bool(figure) and section.tables[0].rows


def test_networks_around_operators_are_never_local_against_non_local(tmp_path: Path) -> None:
    """That of Grattarola et al., too."""
    store = RunStore(tmp_path / "runs")
    for variant in (LEARNED, "shuffled"):
        words = f"model=src pooler=src/mincut pooling={variant} dataset=src_proteins"
        fill(store, words, 0.7 + 0.01 * np.random.default_rng(0).normal(size=10))
    with pytest.raises(UserError, match="nothing to compare"):
        compare(read_results(store, tmp_path / "none"), question())


def test_host_cells_are_never_local_against_non_local(results: Results) -> None:
    for asked in (question(), question(reference=NO_POOLING, without_pooling=["host"])):
        with pytest.raises(UserError, match="nothing to compare"):
            compare(results, asked, datasets=["digits"])


@pytest.mark.usefixtures("suite")
def test_what_is_to_be_known_of_an_operator_is_said(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for all of which the same is to be known, and only of those in the table."""
    assert "numbers edges in the order of nodes" in str(operator_note("tgp/topk"))
    assert operator_note("pyg/TopKPooling") is None and operator_note("my_package.MyPool") is None
    monkeypatch.setattr(module, "operator_note", lambda operator: "It is slow")
    board = leaderboard(load_suite("some"), results)
    there = {c.family for c in board.comparisons}
    said = [note for note in leaderboard_notes(board) if "It is slow" in note]
    assert said == [f"{', '.join(name for name in board.suite.operators if name in there)}: It is slow."]


@pytest.mark.usefixtures("suite")
def test_they_can_be_collected(results: Results, made: RunStore, tmp_path: Path) -> None:
    collect(made, tmp_path / "results")
    collected = read_results(RunStore(tmp_path / "no runs"), tmp_path / "results")
    both = [summary(leaderboard(load_suite("some"), each)) for each in (results, collected)]
    assert both[0].split("Decided")[0] == both[1].split("Decided")[0]


@pytest.mark.usefixtures("suite")
def test_picture_and_section(results: Results) -> None:
    picture = draw("some", results)
    assert [axis.get_title() for axis in picture.figure.axes] == ["shuffled", "none"]
    assert "-20" in " ".join(text.get_text() for axis in picture.figure.axes for text in axis.texts)
    section = next(s for s in leaderboard_sections(results, PAPER) if s.id == "some")
    assert "beat shuffled" in section.words[0] and section.tables and section.pictures


@pytest.mark.usefixtures("suite")
def test_without_any_run_it_says_so(tmp_path: Path) -> None:
    nothing = read_results(RunStore(tmp_path / "runs"), tmp_path / "none")
    board = leaderboard(load_suite("some"), nothing)
    assert "Nothing can be compared yet" in summary(board) and leaderboard_texts(board).empty
    with pytest.raises(UserError, match="There are no runs for Some"):
        draw("some", nothing)
    section = next(s for s in leaderboard_sections(nothing, PAPER) if s.id == "some")
    assert "Nothing can be compared yet" in section.words[0] and not section.tables


@pytest.mark.usefixtures("suite")
def test_commands(rethinking: Call, made: RunStore) -> None:
    table = rethinking("table", "some", "--runs", str(made.folder), "--format", "markdown")
    assert table.returncode == 0, table.stderr
    assert table.stdout.startswith("Of ") and "| Digits     | Top-K (PyG)" in table.stdout
    empty = rethinking("table", "some", "--runs", "none")
    assert empty.returncode == 0 and empty.stdout.startswith("Nothing can be compared yet")
    rows = pd.read_csv(StringIO(rethinking("table", "some", "--runs", str(made.folder), "--format", "csv").stdout))
    difference = rows[rows["family"] == "pyg/TopKPooling"].set_index("variant")["difference"]
    assert difference.tolist() == pytest.approx([-20, 0], abs=0.5) and list(difference.index) == ["shuffled", "none"]
    nothing = rethinking("table", "some", "--runs", "none", "--format", "csv")
    assert (nothing.returncode, nothing.stdout) == (0, "") and "Nothing can be compared yet" in nothing.stderr
    status = rethinking("status", "some", "--runs", str(made.folder)).stdout
    lacking = status[status.index("Some lacks") :].splitlines()
    assert "  pyg/TopKPooling: Digits 20/30, MUTAG 0/30" in lacking
    none = rethinking("status", "some", "--runs", "none").stdout
    assert "  pyg/TopKPooling, pyg/EdgePooling: Digits 0/30, MUTAG 0/30" in none.splitlines()


def test_a_data_set_is_done_before_the_next_begins() -> None:
    suite = load_suite("poolers")
    datasets = [next(word for word in sweep if word.startswith("dataset=")) for sweep in suite.sweeps()]
    assert list(dict.fromkeys(datasets)) == [f"dataset={name}" for name in suite.columns]
    assert datasets == sorted(datasets, key=datasets.index)
    assert {word for sweep in suite.sweeps(["dataset=mutag"]) for word in sweep if "dataset" in word} == {
        "dataset=mutag"
    }


@pytest.mark.parametrize("operator", load_suite("poolers").operators)
def test_an_operator_of_the_suite_has_the_twins_that_it_can_have(operator: str) -> None:
    assert operator in options("pooler")
    own = compose_cell(["model=host", f"pooler={operator}", f"pooling={LEARNED}", "dataset=digits"])
    pool = instantiate(own.select)(replicas=1, in_features=1, max_nodes=2, clusters=1, ratio=0.5)
    twins = [row.rpartition(", ")[2] for row in load_suite("poolers").operators[operator]]
    assert twins == (["shuffled", "random"] if pool.says_assignment else ["shuffled_input"])


def test_there_are_many_operators() -> None:
    assert leaderboards() == ["poolers"]
    assert len(load_suite("poolers").operators) >= 20
