"""A stored cell is trained again only of what our own configuration names; all else is data and refused."""

from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from rethinking.configuration.composition import compose_cell
from rethinking.configuration.rebuilt import rebuilt
from rethinking.errors import UserError
from rethinking.runs.identity import cell_id
from tests.conftest import FEW_DIGITS, ROOT

WORDS = ["model=mincut", "pooling=learned", "dataset=digits"]


def test_cells_of_the_repositorys_results_are_the_same_cells_again() -> None:
    """By their ids, which are hashes of all that may change a result; a few of their kinds."""
    cells = yaml.load((ROOT / "results" / "cells.yaml").read_text(), yaml.CSafeLoader)
    kinds = {(stored["cell"]["family"], stored["cell"]["variant"]): id for id, stored in sorted(cells.items())}
    for id in list(kinds.values())[::6]:
        if cells[id]["schema"] == 2:
            assert cell_id(rebuilt(cells[id]["cell"]), cells[id]["fingerprint"]) == id


def test_numbers_are_taken_as_they_are_and_moved_classes_are_found() -> None:
    cell = compose_cell([*WORDS, "model.hidden=16", "trainer.max_epochs=7", "dataset.split.val=0.2"])
    stored = asdict(cell)
    stored["network"]["_target_"] = "rethinking.elsewhere." + stored["network"]["_target_"].rpartition(".")[2]
    assert rebuilt(stored) == cell


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("network", "_target_"), "os.system"),
        (("network", "_target_"), "rethinking.models.mincut.nothing"),
        (("network", "_target_"), 7),
        (("network", "logger"), {"_target_": "rethinking.tracking.tracker.Tracker"}),
        (("network", "_args_"), ["touch here"]),
        (("network", "_convert_"), "object"),
        (("network", "_recursive_"), True),
        (("network", "activation"), "${oc.env:HOME}"),
        (("network", "connect"), {"_target_": "builtins.open", "file": "/etc/passwd"}),
        (("network", "weights"), [[{"_target_": "pickle.loads"}]]),
        (("select", "path"), "my_package.MyPool"),
        (("trainer", "saved_weights"), "/etc/passwd"),
        (("trainer", "max_epochs"), "many"),
        (("dataset", "task", "_target_"), "subprocess.run"),
        (("dataset", "split", "_target_"), "my_package.split"),
        (("dataset", "name"), "../nci1"),
    ],
)
def test_what_a_record_names_is_looked_up_and_never_called(place: tuple[str, ...], value: Any) -> None:
    stored = deepcopy(asdict(compose_cell(WORDS)))
    inner = stored
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(UserError):
        rebuilt(stored)


def test_splits_of_ones_own_are_those_of_the_folder_that_is_named(tmp_path: Path) -> None:
    """What a record says of a file is never opened."""
    cell = compose_cell([*WORDS, f"splits={FEW_DIGITS}"])
    stored = deepcopy(asdict(cell))
    stored["dataset"]["split"]["file"] = "/dev/zero"
    with pytest.raises(UserError, match="name their folder with --splits"):
        rebuilt(stored)
    assert cell_id(rebuilt(stored, FEW_DIGITS), "0") == cell_id(stored, "0") == cell_id(cell, "0")
