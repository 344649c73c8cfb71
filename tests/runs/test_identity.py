"""A run's id follows from what may change its result, and from nothing else."""

from dataclasses import asdict, replace

import pytest
import yaml

from rethinking.configuration.cell import Cell
from rethinking.configuration.composition import compose_cell
from rethinking.configuration.identity import identity
from rethinking.runs.identity import cell_id, is_name, run_id
from rethinking.tasks.classification import Classification


class OtherTask(Classification):
    """Another loss or metric."""


BASE = ["model=graclus", "pooling=learned", "dataset=nci1"]


def cell(*overrides: str) -> Cell:
    return compose_cell([*BASE, *overrides])


def identify(*overrides: str, fingerprint: str = "f") -> str:
    return cell_id(cell(*overrides), fingerprint)


@pytest.mark.parametrize(
    "override",
    ["pooling=complement", "dataset=imdb_b", "model.hidden=32", "model.convs_before_pool=1", "model.batch_size=16",
     "dataset.task={_target_: tests.runs.test_identity.OtherTask, margin: 0.01}",
     "trainer.learning_rate=0.01", "trainer.max_epochs=7", "dataset.split.val=0.2",
     "fidelity=released_code", "fidelity.early_stopping=released_code"],
)  # fmt: skip
def test_science_changes_the_id(override: str) -> None:
    assert identify(override) != identify()


@pytest.mark.parametrize(
    "override",
    ["device=cpu", "replicas=3", "threads=2", "runs=elsewhere", "seeds=3", "evaluation_batch_size=7", "fast=false",
     "retry_failed=true", "save_model=true", "data.cache=elsewhere", "pooler.title=Other", "dataset.raw.url=elsewhere",
     "dataset.read._target_=another.module.read_tu", "tasks.classification.margin=0.05", "pooling.is_local=false"],
)  # fmt: skip
def test_engineering_does_not(override: str) -> None:
    assert identify(override) == identify()


def test_only_a_tasks_margin_is_no_science() -> None:
    """A Select or family of one's own may have an argument of that name."""
    chosen = cell()
    for part in ("select", "network"):
        ids = {cell_id(replace(chosen, **{part: getattr(chosen, part) | {"margin": value}}), "f") for value in (1, 2)}
        assert len(ids) == 2


def test_the_content_of_the_data_does() -> None:
    assert identify(fingerprint="other") != identify()


def test_every_seed_has_its_own() -> None:
    assert len({run_id("abc", seed) for seed in range(200)}) == 200


@pytest.mark.parametrize(
    "overrides",
    [["model=gmn", "pooling=uniform"], ["model=mincut", "pooling=normal", "dataset=zinc"], ["fidelity=released_code"]],
)
def test_a_cell_and_what_is_stored_of_it_have_one_canonical_form(overrides: list[str]) -> None:
    chosen = cell(*overrides)
    stored = yaml.safe_load(yaml.safe_dump(asdict(chosen)))
    assert identity(stored, "f") == identity(chosen, "f") and cell_id(stored, "f") == cell_id(chosen, "f")
    # As older versions have stored it.
    stored["network"]["_target_"] = stored["network"]["_target_"].replace("rethinking.models", "rethinking.elsewhere")
    stored["dataset"]["task"].pop("margin")
    stored["trainer"].pop("saved_weights" if chosen.trainer.saved_weights is None else "gradient_clip")
    del stored["is_local"]
    assert cell_id(stored, "f") == cell_id(chosen, "f")


# As schema 1 has stored a cell: modules that are elsewhere now, no margin, nothing of locality.
STORED = """
cell:
  dataset:
    name: nci1
    split: {_target_: rethinking.data.split.StratifiedSplit, test: 0.1, val: 0.1}
    task: {_target_: rethinking.training.task.Classification}
  family: mincut
  fidelity: paper
  network: {_target_: rethinking.models.mincut.MinCutPool, hidden: 32, layers: 3, mincut_weight: 1.0,
    orthogonality_weight: 1.0, ratio: 0.5}
  select:
    _partial_: true
    _target_: rethinking.pooling.random_assignment.RandomAssignment
    distribution: {_target_: rethinking.pooling.random_assignment.Normal, mean: 0.0, std: 1.0}
    invariant: false
  trainer: {batch_size: 16, compare_from: null, decay_factor: 0.5, decay_patience: 10, gradient_clip: 2.0,
    learning_rate: 0.001, max_epochs: 1000, min_learning_rate: 1.0e-05, saved_weights: null, stop_patience: 50}
  variant: normal
fingerprint: eb2398700f2f659d
schema: 1
"""


def test_cells_of_schema_1_are_known_again() -> None:
    stored = yaml.safe_load(STORED)
    chosen = cell("model=mincut", "pooling=normal", "dataset=nci1")
    assert cell_id(stored["cell"], stored["fingerprint"]) == cell_id(chosen, chosen.dataset.fingerprint)


@pytest.mark.parametrize("name", ["../abc", "a/b", "", "a b", ".", "a.b", None, 3, "abc\n"])
def test_what_is_no_name(name: object) -> None:
    assert not is_name(name) and is_name("565d8e2812c8-s07")
