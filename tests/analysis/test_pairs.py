"""Locality is stated and never guessed, and what a store or results folder names is never imported or called."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from rethinking.analysis.collect import collect
from rethinking.analysis.comparisons import compare
from rethinking.analysis.older import completed
from rethinking.analysis.pairs import same_arguments
from rethinking.analysis.questions import question
from rethinking.analysis.tidy import read_results
from rethinking.configuration.composition import compose_cell
from rethinking.configuration.locality import locality
from rethinking.errors import UserError
from rethinking.runs.store import RunStore
from tests.analysis.conftest import NCI1, NOISE, fill
from tests.records import older

Call = Callable[..., subprocess.CompletedProcess[str]]


class Near:
    is_local = True


class Silent:
    """Of somebody's own, who has not said."""


def test_the_file_comes_first_then_the_class_then_nobody_knows() -> None:
    near, silent = ({"_target_": f"tests.analysis.test_pairs.{name}"} for name in ("Near", "Silent"))
    assert locality(None, near) is True and locality(False, near) is False
    assert locality(None, silent) is None and locality(True, silent) is True
    assert locality(None, {"_target_": "torch_geometric.nn.TopKPooling"}) is None, "no attribute says nothing"
    assert locality(None, {}) is None and locality(None, {"_target_": "no.where"}) is None
    with pytest.raises(UserError, match=r"pooling\.is_local=no is not understood"):
        locality("no", near)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [("model=graclus pooling=learned", True), ("model=graclus pooling=complement", False),
     ("model=gmn pooling=distance", False), ("model=diffpool pooling=learned", True),
     ("model=gin pooling=none", None), ("model=diffpool pooling=learned pooling.is_local=false", False)],
)  # fmt: skip
def test_it_is_determined_when_a_cell_is_composed(overrides: str, expected: bool | None) -> None:
    assert compose_cell([*overrides.split(), "dataset=nci1"]).is_local is expected


def test_of_schema_1_the_name_of_the_class_says_it() -> None:
    stored = {
        "fingerprint": "f",
        "measure": None,
        "cell": {"dataset": {"task": {"_target_": "once.task.Classification"},
                             "split": {"_target_": "once.StratifiedSplit", "val": 0.1, "test": 0.1}}},
    }  # fmt: skip
    for target, local in (
        ("rethinking.pooling.assignment.RandomAssignment", False),  # its module was another once
        ("rethinking.pooling.matching.NeighbourMatching", True),
        ("somebody.elses.Select", None),
    ):
        whole = completed({**stored, "cell": {**stored["cell"], "select": {"_target_": target}}})  # type: ignore[dict-item]
        assert whole is not None and whole["cell"]["is_local"] is local
        assert whole["test_to_train"] == pytest.approx(1 / 8) and whole["measure"]["metric"] == "accuracy"


def restated(results: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Cells of a results folder, with something changed in each."""
    cells = yaml.safe_load((results / "cells.yaml").read_text())
    for stored in cells.values():
        change(stored)
    (results / "cells.yaml").write_text(yaml.safe_dump(cells))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    store = RunStore(folder / "runs")
    for variant in ("learned", "complement", "uniform"):
        fill(store, NCI1 + variant, 0.8 + 0.01 * NOISE)
    collect(store, folder / "results")
    return folder / "results"


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "results"))


def state(variant: str, local: bool | None) -> Callable[[dict[str, Any]], None]:
    def change(stored: dict[str, Any]) -> None:
        if stored["cell"]["variant"] == variant:
            stored["cell"]["is_local"] = local

    return change


def test_a_variant_whose_locality_nobody_states_is_left_out_with_a_sentence(results: Path, tmp_path: Path) -> None:
    restated(results, state("uniform", None))
    made, said = compare(read_results(RunStore(tmp_path / "none"), results), question())
    assert [c.variant for c in made] == ["complement"]
    assert len(said) == 1 and "`is_local: true` or `is_local: false` in the file of pooling=uniform" in said[0]
    restated(results, state("learned", None))
    with pytest.raises(UserError, match=r"nothing to compare .* in the file of model=graclus"):
        compare(read_results(RunStore(tmp_path / "none"), results), question())


def test_another_local_variant_as_reference(results: Path, rethinking: Call) -> None:
    restated(results, state("uniform", True))
    asked = ("compare", "--results", str(results), "--format", "csv")
    lines = rethinking(*asked, "compare.reference=uniform").stdout.splitlines()
    assert len(lines) == 2 and "complement,uniform" in lines[1]
    refused = rethinking(*asked, "compare.reference=complement")
    assert refused.returncode == 2 and "complement is not local" in refused.stderr
    refused = rethinking(*asked, "compare.reference=nothing")
    assert refused.returncode == 2 and "there are no runs of this variant" in refused.stderr


TRAP = (
    "import pathlib\npathlib.Path(r'{mark}').touch()\nclass Trap:\n    def __init__(self, **k): raise SystemExit(99)\n"
)
COMMANDS = (
    ["compare"], ["report"], ["export"], ["table", "1"], ["figure", "1"], ["status"], ["collect"],
    ["compare", "compare.reference=uniform"],
)  # fmt: skip


@pytest.mark.parametrize("schema", [1, 2])
def test_nothing_that_was_read_is_imported_or_called(
    results: Path, tmp_path: Path, rethinking: Call, monkeypatch: pytest.MonkeyPatch, schema: int
) -> None:
    """Neither in `cells.yaml` nor in a store."""
    mark = tmp_path / "sprung"
    (tmp_path / "trap.py").write_text(TRAP.format(mark=mark))
    monkeypatch.syspath_prepend(tmp_path)

    def lay(stored: dict[str, Any]) -> None:
        cell = stored["cell"]
        for part in (cell["network"], cell["select"], cell["dataset"]["task"], cell["dataset"]["split"],
                     cell["dataset"]["read"]):  # fmt: skip
            part["_target_"] = "trap.Trap"
        cell["trainer"]["_target_"] = "trap.Trap"

    store = RunStore(tmp_path / "runs")
    for variant in ("learned", "uniform"):
        fill(store, NCI1 + variant, 0.8 + 0.01 * NOISE[:3])
    for path in (tmp_path / "runs").glob("*/config.yaml"):
        config = yaml.safe_load(path.read_text())
        lay(config)
        path.write_text(yaml.safe_dump(config))
        result = json.loads((path.parent / "result.json").read_text())
        del result["sha256"], result["files"]["config.yaml"]
        _sign(result, path)
    restated(results, lay)
    if schema == 1:
        cells = {id: older(stored) for id, stored in yaml.safe_load((results / "cells.yaml").read_text()).items()}
        (results / "cells.yaml").write_text(yaml.safe_dump(cells))
    for command in COMMANDS:
        places = ["--runs", "runs", "--results", str(results)]
        done = rethinking(*command, *places)
        assert done.returncode in (0, 2) and "Traceback" not in done.stderr, (command, done.stderr)
    assert not mark.exists() and "trap" not in sys.modules
    entries = store.entries()
    assert {entry.state for entry in entries} == {"done"}, "the store was not even looked at"


def _sign(result: dict[str, Any], config: Path) -> None:
    """A record whose checksums fit a configuration that was changed."""
    result["files"]["config.yaml"] = sha256(config.read_bytes()).hexdigest()
    whole = {**result, "sha256": sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()}
    (config.parent / "result.json").write_text(json.dumps(whole))


@pytest.mark.parametrize(
    "text",
    ["[]", "a: 3", "!!python/object/apply:os.system ['touch sprung']", "565d8e2812c8: {schema: 2}",
     "565d8e2812c8: {schema: 2, cell: [], measure: 3, test_to_train: x, fingerprint: {}}"],
)  # fmt: skip
def test_cells_that_are_none_are_left_out(results: Path, rethinking: Call, tmp_path: Path, text: str) -> None:
    (results / "cells.yaml").write_text(text)
    for command in COMMANDS[:6]:
        done = rethinking(*command, "--results", str(results))
        assert "Traceback" not in done.stderr and done.returncode in (0, 2), (command, done.stderr)
    assert not (tmp_path / "sprung").exists()


def test_ids_in_a_table_cannot_leave_the_folder(results: Path, rethinking: Call, tmp_path: Path) -> None:
    text = (results / "runs.csv").read_text()
    id = text.splitlines()[1].split(",")[1]
    (results / "runs.csv").write_text(text.replace(f",{id},", ",../../elsewhere,"))
    (results / "manifest.yaml").unlink()
    refused = rethinking("compare", "--results", str(results))
    assert "left out" in refused.stdout + refused.stderr and "names no run" in refused.stdout + refused.stderr
    fill(RunStore(tmp_path / "runs"), NCI1 + "learned", 0.8 + 0.01 * NOISE[:3])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    refused = rethinking("collect", "--results", str(results))
    assert refused.returncode == 2 and "names no run" in refused.stderr
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after.items() <= before.items()


GMN = "model=gmn dataset=nci1 pooling="


def test_arguments_that_both_selects_have_agree(tmp_path: Path) -> None:
    """Else a number of heads would count as what local and non-local pooling differ by."""
    store = RunStore(tmp_path / "runs")
    fill(store, GMN + "learned model.heads=1", 0.7 + 0.01 * NOISE)
    fill(store, GMN + "distance model.heads=1", 0.7 + 0.01 * NOISE[::-1])
    fill(store, GMN + "distance model.heads=5", 0.8 + 0.01 * NOISE)
    made, said = compare(read_results(store, tmp_path / "none"), question())
    assert [c.settings for c in made] == ["heads=1"]
    assert said == [
        "gmn distance with heads=5 on NCI1 is left out: no learned with the same arguments has been trained."
    ]
    fill(store, GMN + "learned model.heads=5", 0.8 + 0.01 * NOISE[::-1])
    made, said = compare(read_results(store, tmp_path / "none"), question())
    assert {c.settings for c in made} == {f"heads={n}, against learned with heads={n}" for n in (1, 5)} and not said


def test_arguments_agree_inside_each_other_too() -> None:
    own = {"_target_": "rethinking.pooling.assignment.SageAssignment", "hidden": 32}
    complement = {"_target_": "rethinking.pooling.select.OnComplement", "select": own}
    assert same_arguments(own, complement) and same_arguments(own, {"_target_": "rethinking.pooling.Other"})
    assert not same_arguments(own | {"hidden": 64}, complement)
    assert not same_arguments(own, {"_target_": "rethinking.pooling.Other", "hidden": 64})
