"""Experiments, a folder of one's own, and what is one setting and what are two."""

from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from rethinking import paths
from rethinking.analysis.suites import load_suite, suite_names
from rethinking.commands.run import main
from rethinking.configuration.cell import Cell
from rethinking.configuration.composition import (
    _compose_cell,
    asks_for_several,
    compose_by_hydra,
    compose_cell,
    compose_job,
    expand_sweep,
    options,
    possible_variants,
)
from rethinking.configuration.declared import as_declared
from rethinking.configuration.identity import canonical
from rethinking.configuration.settings import ImpossiblePairError, Settings
from rethinking.errors import UserError
from rethinking.runs.outcome import Outcome

CELL = ["model=graclus", "pooling=learned", "dataset=digits"]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a variant, a trainer that extends another, and experiments."""
    files = {
        "pooling/far.yaml": "defaults: [uniform]\nname: far\n",
        "trainer/short.yaml": "defaults: [paper]\nmax_epochs: 2\n",
        "experiment/mine.yaml": "# @package _global_\ndefaults:\n  - override /model: graclus\n"
        "  - override /pooling: far\n  - override /dataset: digits\n  - override /trainer: short\n"
        "seeds: 1\nmodel: {hidden: 16}\n",
        "experiment/typo.yaml": "# @package _global_\nmodel: {hiden: 16}\n",
    }
    folder = tmp_path / "my own (1), 'quoted'"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_an_experiment_of_ones_own_chooses_and_changes(own: Path) -> None:
    with paths.own_configuration(own):
        job = compose_job(["+experiment=mine"])
        assert (job.cell.family, job.cell.variant, job.seeds) == ("graclus", "far", [0])
        assert (job.cell.network["hidden"], job.cell.trainer.max_epochs) == (16, 2)
        # The command line has the last word.
        changed = compose_job(["+experiment=mine", "pooling=learned", "model.hidden=8", "seeds=2"])
        assert (changed.cell.variant, changed.cell.network["hidden"], changed.seeds) == ("learned", 8, [0, 1])
        assert compose_cell(["+experiment=mine"]) == job.cell
        swept = expand_sweep(["+experiment=mine,quick", *CELL])
        assert swept is not None and [job[0] for job in swept] == ["+experiment=mine", "+experiment=quick"]
        with pytest.raises(
            UserError, match=r"Unknown key 'model\.hiden' with model=graclus; did you mean 'model\.hidden'\?"
        ):
            compose_job(["+experiment=typo", *CELL])
        assert "far" in options("pooling") and "far" in possible_variants("graclus")
    with pytest.raises(UserError, match="experiment/mine"):
        compose_job(["+experiment=mine"])


@pytest.mark.parametrize("name", options("experiment"))
def test_the_experiments_that_are_shipped(name: str) -> None:
    overrides = [f"+experiment={name}"]
    assert asks_for_several(overrides) == (name == "control")
    if name == "control":
        jobs = expand_sweep(overrides)
        assert jobs is not None
        assert [compose_job(job).cell.variant for job in jobs] == ["learned", "complement", "uniform"]
    else:
        assert compose_job([*overrides, *CELL]).cell != compose_job(CELL).cell


@pytest.mark.parametrize("asked", ["-m", "hydra.mode=MULTIRUN"])
def test_a_value_of_a_file_that_is_swept_over_reaches_each_job(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: str
) -> None:
    jobs: list[Settings] = []

    def executed(job: Settings, progress: object) -> Outcome:
        jobs.append(job)
        return Outcome(job.cell.title, "0" * 12)

    monkeypatch.setattr("rethinking.commands.job.execute", executed)
    monkeypatch.setattr("rethinking.commands.run._conclude", lambda jobs, table, all_done: 0)
    monkeypatch.setattr("rethinking.commands.run._check", lambda jobs, here: None)
    monkeypatch.setattr("sys.argv", ["rethinking"])
    monkeypatch.chdir(tmp_path)
    assert main([asked, "model=graclus,gmn", *CELL[1:], "model.hidden=8", "seeds=1"]) == 0
    assert [(job.cell.family, job.cell.network["hidden"]) for job in jobs] == [("graclus", 8), ("gmn", 8)]


def test_a_file_with_the_name_of_one_of_the_projects_is_refused(own: Path) -> None:
    (own / "model").mkdir()
    (own / "model" / "graclus.yaml").write_text("name: graclus\n")
    with pytest.raises(UserError, match=r"model/graclus\.yaml has the name"), paths.own_configuration(own):
        pass


@pytest.mark.parametrize("value", ["1e-3", "0.001", "1.0e-3"])
def test_both_composers_read_numbers_alike(value: str) -> None:
    overrides = [*CELL, f"trainer.learning_rate={value}"]
    assert compose_cell(overrides) == compose_by_hydra(overrides).cell == compose_by_hydra(CELL).cell


def test_a_whole_number_is_a_float_where_one_is_declared() -> None:
    mincut = ["model=mincut", "pooling=normal", "dataset=digits"]
    first, second = (compose_cell([*mincut, f"model.mincut_weight={value}"]) for value in ("1", "1.0"))
    assert repr(first) == repr(second)
    nested = {"list": [{"_target_": "rethinking.pooling.random_assignment.Uniform", "low": 0, "high": 1}]}
    assert repr(as_declared(nested)["list"][0]["high"]) == "1.0"
    # What declares no float, or cannot be imported, is left as it is.
    assert repr(as_declared({"_target_": "nowhere.Net", "ratio": 1})["ratio"]) == "1"


def test_what_classes_are_known_by() -> None:
    own = {"list": [{"_target_": "rethinking.a.Net", "x": None}], "_partial_": True}
    assert canonical(own) == {"list": [{"class": "Net"}]}
    foreign = {"_target_": "my.a.Net", "x": None}
    assert canonical(foreign) == {"class": "my.a.Net", "x": None}
    assert canonical(foreign) != canonical({"_target_": "my.b.Net", "x": None})
    assert canonical(foreign) != canonical({"_target_": "my.a.Net"})


def test_an_impossible_pair_may_be_skipped() -> None:
    """What is possible is said where it is not, as then somebody reads it."""
    pair = ["model=gin", "pooling=learned", "dataset=digits"]
    for skip, said in ((False, "In a sweep, skip_impossible=true leaves"), (True, "combined with pooling=learned.$")):
        with pytest.raises(ImpossiblePairError, match=said) as refused:
            compose_job([*pair, f"skip_impossible={str(skip).lower()}"])
        assert refused.value.skip == skip


def test_no_cell_of_a_suite_needs_hydra_s_composition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rethinking.configuration.composition.compose", None)
    assert compose_cell([*CELL, "model.hidden=24"]).network["hidden"] == 24
    for suite in map(load_suite, suite_names()):
        for dataset in suite.columns:
            for row in filter(None, suite.rows.values()):
                assert compose_cell([*row, f"dataset={dataset}", "fidelity=paper"]).dataset.name == dataset


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (["model.hidden=???"], ""),
        (["dataset.split.val='${dataset.split.test}'"], ""),
        (["dataset.title='${.name} as \\${text}'"], ""),
        (["pooling=mine"], "name: mine\nselect: {hard: '${model.learned.hard}'}\nis_local: true\n"),
        (["pooling=mine"], "name: mine\nselect: {hard: {_target_: my.Select, list: ['${model.hidden}', 1e-3]}}\n"),
        (
            ["pooling=mine"],
            "name: mine\nselect: {hard: {_target_: my.S, day: 2020-01-01, home: '${oc.env:HOME}'}}\n",
        ),
        (["pooling=mine"], "name: mine\nselect: &s {hard: {_target_: my.Select}}\nother: {<<: *s}\n"),
        (["pooling=mine"], "name: mine\nname: other\nselect: {hard: {_target_: my.Select}}\n"),
        (["pooling=mine"], "name: mine\nselect: {hard: {_target_: my.Select, x: '${pooling.nothing}'}}\n"),
        (["pooling=mine"], "name: mine\nselect: {hard: {_target_: my.Select, x: '${pooling.select}'}}\n"),
        (
            ["pooling=mine"],
            "name: mine\nselect: {hard: {_target_: my.S, x: '${oc.select:model.none.at.all,3}'}}\n",
        ),
        (["pooling=mine"], "name: mine\nselect: [hard\n"),
        (["pooling=mine"], ""),
        (["model.layers.more=1"], ""),
        (["model.learned=1"], ""),
        (["splits=nowhere"], ""),
    ],
)
def test_what_is_not_plain_is_as_hydra_composes_it(tmp_path: Path, words: list[str], file: str) -> None:
    """The same cell, or the same sentence."""
    (tmp_path / "pooling").mkdir()
    (tmp_path / "pooling" / "mine.yaml").write_text(file)

    def said(compose: Callable[[list[str]], Cell]) -> str:
        try:
            return repr(compose([*CELL, *words]))
        except UserError as error:
            return str(error)

    def by_hydra(overrides: list[str]) -> Cell:
        with patch("rethinking.configuration.composition.put_together", return_value=None):
            return compose_cell(overrides)

    with paths.own_configuration(tmp_path):
        quick = said(compose_cell)
        _compose_cell.cache_clear()
        assert quick == said(by_hydra)
