"""A run's id follows from what may change its result, and from nothing else."""

import pytest

from rethinking.configuration.composition import compose_job
from rethinking.runs.identity import cell_id, run_id


class OtherTask:
    """Another loss or metric."""


BASE = ["model=graclus", "pooling=learned", "dataset=nci1"]


def identify(*overrides: str, fingerprint: str = "f") -> str:
    return cell_id(compose_job([*BASE, *overrides]).cell, fingerprint)


@pytest.mark.parametrize(
    "override",
    ["pooling=complement", "dataset=imdb_b", "model.hidden=32", "model.convs_before_pool=1", "model.batch_size=16",
     "dataset.task._target_=tests.runs.test_identity.OtherTask",
     "trainer.learning_rate=0.01", "trainer.max_epochs=7", "dataset.split.val=0.2",
     "fidelity=released_code", "fidelity.early_stopping=released_code"],
)  # fmt: skip
def test_science_changes_the_id(override: str) -> None:
    assert identify(override) != identify()


@pytest.mark.parametrize(
    "override",
    ["device=cpu", "replicas=3", "threads=2", "runs=elsewhere", "seeds=3", "evaluation_batch_size=7",
     "retry_failed=true", "save_model=true", "data.cache=elsewhere", "model.title=Other", "dataset.raw.url=elsewhere",
     "dataset.read._target_=another.module.read_tu"],
)  # fmt: skip
def test_engineering_does_not(override: str) -> None:
    assert identify(override) == identify()


def test_the_content_of_the_data_does() -> None:
    assert identify(fingerprint="other") != identify()


def test_every_seed_has_its_own() -> None:
    assert len({run_id("abc", seed) for seed in range(200)}) == 200


def test_finished_runs_keep_their_names() -> None:
    """Ids of results that are in `results/`; where a change alters what a run means, SCHEMA is raised instead."""
    for overrides, known in (
        (["model=graclus", "pooling=learned", "dataset=nci1"], "565d8e2812c8"),
        (["model=mincut", "pooling=normal", "dataset=imdb_b"], "d6aad4f48ec0"),
    ):
        cell = compose_job(overrides).cell
        assert cell_id(cell, str(cell.dataset.fingerprint)) == known
