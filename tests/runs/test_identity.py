"""A run's id follows from what may change its result, and from nothing else."""

import pytest

from rethinking.composition import compose_job
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
     "trainer.learning_rate=0.01", "trainer.max_epochs=7", "dataset.split.val=0.2"],
)  # fmt: skip
def test_science_changes_the_id(override: str) -> None:
    assert identify(override) != identify()


@pytest.mark.parametrize(
    "override",
    ["device=cpu", "replicas=3", "threads=2", "runs=elsewhere", "seeds=3", "evaluation_batch_size=7",
     "retry_failed=true", "data.cache=elsewhere", "model.title=Other", "dataset.raw.url=elsewhere",
     "dataset.read._target_=another.module.read_tu"],
)  # fmt: skip
def test_engineering_does_not(override: str) -> None:
    assert identify(override) == identify()


def test_the_content_of_the_data_does() -> None:
    assert identify(fingerprint="other") != identify()


def test_every_seed_has_its_own() -> None:
    assert len({run_id("abc", seed) for seed in range(200)}) == 200
