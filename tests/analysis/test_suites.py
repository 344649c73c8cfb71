"""A suite is trained row by row, with what the command line changes, and reproduced as a table."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rethinking import paths
from rethinking.analysis import figures, suites, tables
from rethinking.analysis.suites import Suite, load_suite
from rethinking.commands import reproduce as reproduction
from rethinking.errors import UserError

Call = Callable[..., subprocess.CompletedProcess[str]]
SMALL = ("dataset=digits", "seeds=2", "trainer.max_epochs=1", "trainer.batch_size=128")


def test_a_suite_trains_its_rows_and_nothing_twice(rethinking: Call, tmp_path: Path) -> None:
    first = rethinking("run", "suite=control", *SMALL)
    assert first.returncode == 0, first.stderr
    assert len(list(tmp_path.glob("runs/*/result.json"))) == 6
    for variant in ("learned", "complement", "uniform"):
        assert f"graclus / {variant} / digits: 2/2 seeds done (2 trained" in first.stderr
    again = rethinking("run", "-m", "+suite=control", *SMALL)
    assert again.stderr.count("0 trained, 2 done before") == 3


def test_reproduce_trains_and_then_prints_the_table(rethinking: Call) -> None:
    result = rethinking("reproduce", "control", *SMALL, "runs=mine")
    assert result.returncode == 0, result.stderr
    assert "Controls: where local pooling matters" in result.stdout
    # What was trained is not of the suite's data sets.
    assert "dataset=digits" in result.stdout and "these are other cells than those below" in result.stdout
    assert result.stdout.count("missing, 0/20") == 6 and "Partial: 6 of 6 cells lack seeds" in result.stdout
    status = rethinking("status", "control", "--runs", "mine")
    assert "Controls lacks" in status.stdout and "Table 1" not in status.stdout


def test_reproduce_draws_a_figure(rethinking: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a suite of cells that are trained in a moment."""
    overrides = ["model=global_mean", "pooling=none", "trainer.max_epochs=1", "trainer.batch_size=128"]
    small = Suite(
        "figure1",
        "Figure 1: small",
        2,
        {"Mean": overrides},
        {"digits": "Digits"},
        [],
        figure="1",
        drawn="distributions",
    )
    for module in (suites, tables, figures, reproduction):
        monkeypatch.setattr(module, "load_suite", lambda name: small)
    result = rethinking("reproduce", "figure1")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "figures" / "figure_1.png").is_file() and "Figure 1: small." in result.stdout


def test_what_is_wrong_is_said_before_any_work(rethinking: Call, tmp_path: Path) -> None:
    for command, expected in (
        (("run", "suite=table9"), "no suite 'table9'; expected one of control, figure1"),
        (("run", "suite=control", "sedes=2"), "did you mean 'seeds'"),
        (("run", "suite=control", "--config-dir", "my"), "--config-dir my: there is no such folder"),
        (("run", "suite=table2", "model.layers=0", *SMALL), "expected at least 1"),
        (("reproduce", "nothing"), "no suite 'nothing'"),
        (("status", "nothing"), "no suite 'nothing'"),
        (("table", "9"), "no table '9'; expected one of 1, 2, 3, S1, S2, S3, S4, S5, or of control, figure1"),
    ):
        refused = rethinking(*command)
        assert refused.returncode == 2 and expected in refused.stderr, (command, refused.stderr)
        assert "Traceback" not in refused.stderr
    assert not list(tmp_path.glob("runs/*/result.json"))


def test_an_operator_that_cannot_be_had_stops_no_other(rethinking: Call, tmp_path: Path) -> None:
    (tmp_path / "mine" / "suite").mkdir(parents=True)
    (tmp_path / "mine" / "suite" / "some.yaml").write_text(
        "title: Some\nseeds: 1\nrows: {}\ncolumns: {digits: Digits}\n"
        "operators: {tgp/pan: [shuffled], pyg/TopKPooling: [shuffled]}\n"
    )
    small = ("model.hidden=4", "model.batch_size=256", "diagnosed_graphs=0", "trainer.max_epochs=1")
    result = rethinking("run", "suite=some", *small, "--config-dir", "mine")
    assert result.returncode == 0, result.stderr
    assert "Left out: " in result.stderr and "pan" in result.stderr
    assert sorted(path.parent.name[-3:] for path in tmp_path.glob("runs/*/result.json")) == ["s00", "s00"]


def test_a_suite_of_trained_networks_keeps_their_weights() -> None:
    """Else what was trained could not be drawn; and an added file has its own number of seeds."""
    suite = load_suite("figure5")
    assert all({"save_model=true", "seeds=1"} <= set(words) for words in suite.sweeps())
    assert all("save_model=true" not in words for words in suite.sweeps(["save_model=false"]))
    for words in suite.sweeps(["+experiment=quick"]):
        assert not any(word.startswith("seeds=") for word in words)
    assert all("seeds=1" in words for words in suite.sweeps(["+experiment=control"]))


def test_tables_of_the_configuration_alone(rethinking: Call) -> None:
    result = rethinking("table", "S2", "S4", "--format", "markdown")
    assert result.returncode == 0
    assert "| NCI1       |        3 |       64 |            8 |" in result.stdout
    assert "| DD         | [32, 8, 1] |       5 |" in result.stdout


def test_a_broken_suite_of_ones_own_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "broken.yaml").write_text("title: no rows\n")
    with paths.own_configuration(tmp_path):
        assert load_suite("table1").table == "1"
        with pytest.raises(UserError, match="is no suite"):
            load_suite("broken")


def test_rows_that_operators_are_compared_with_are_told_apart_by_their_pooling(tmp_path: Path) -> None:
    """They are columns of the table, each called by its variant."""
    path = tmp_path / "twice.yaml"
    rows = "rows:\n  None: [model=host, pooling=none]\n  Sum: [model=host, pooling=none, model.readout=sum]\n"
    path.write_text(
        f"title: Twice\nseeds: 2\n{rows}operators:\n  pyg/TopKPooling: [shuffled]\ncolumns: {{mutag: MUTAG}}\n"
    )
    with pytest.raises(UserError, match=r"twice.yaml is no suite .*has a pooling of its own"):
        suites._read(path)


def test_what_is_known_is_of_the_data_sets_of_a_suite(tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    text = "title: t\nseeds: 1\nrows: {}\ncolumns: {digits: Digits}\nknown: {%s: Nothing.}\n"
    for name in ("digits", "nci1"):
        (tmp_path / "suite" / f"{name}_known.yaml").write_text(text % name)
    with paths.own_configuration(tmp_path):
        assert load_suite("digits_known").known == {"digits": "Nothing."}
        with pytest.raises(UserError, match="known speaks of"):
            load_suite("nci1_known")
