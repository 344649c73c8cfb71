"""Training with compiled operators and in plain torch (`fast=false`) comes to the same."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from rethinking.analysis.inference.estimates import paired
from rethinking.configuration.cell import Cell
from rethinking.configuration.composition import compose_job
from rethinking.configuration.settings import Settings
from rethinking.data.dataset import GraphDataset
from rethinking.data.load import load
from rethinking.data.split import Split
from rethinking.operators import use_compiled
from rethinking.training.group import train_group
from rethinking.training.memory import keep_freed_memory
from rethinking.training.state import Replica
from tests.conftest import in_double

CPU = torch.device("cpu")
FAMILIES = ("graclus", "diffpool", "gmn", "mincut")


def job(family: str, dataset: str, *overrides: str) -> Settings:
    return compose_job([f"model={family}", "pooling=learned", f"dataset={dataset}", *overrides])


def train(cell: Cell, dataset: GraphDataset, splits: Sequence[Split], compiled: bool) -> list[Replica]:
    use_compiled(compiled)
    task, seeds = cell.task(), range(len(splits))
    replicas = train_group(
        cell.build(dataset, task), dataset, splits, seeds, task, cell.trainer, 64, CPU, lambda state: None
    )
    return sorted(replicas, key=lambda replica: replica.seed)


@pytest.mark.usefixtures("plain", "double")
@pytest.mark.parametrize("family", ["diffpool", "gmn"])
def test_the_first_epochs_are_alike(family: str, digits: GraphDataset) -> None:
    """The second epoch of GMN is one of its keys. In double precision, as Adam makes much of the least gradient."""
    overrides = ["model.kl_period=2"] if family == "gmn" else []
    cell = job(family, "digits", "trainer.max_epochs=2", "trainer.batch_size=8", *overrides).cell
    order = np.random.default_rng(0).permutation(len(digits))
    splits = [Split(order[i : i + 32], order[70:80], order[80:90]) for i in (0, 35)]
    ours, plain = (train(cell, in_double(digits), splits, compiled) for compiled in (True, False))
    for mine, theirs in zip(ours, plain, strict=True):
        assert len(mine.history) == 2
        for epoch, expected in zip(mine.history, theirs.history, strict=True):
            assert epoch == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("dataset", "epochs"), [("digits", 30), ("nci1", 30)])
def test_a_whole_training_comes_to_the_same_scores(
    family: str, dataset: str, epochs: int, request: pytest.FixtureRequest
) -> None:
    """Rounding takes every seed another way in the end; what is left is the seeds' own noise, in pairs."""
    # As `rethinking run` does: plain torch on digits would spend most of its time on fetching pages.
    keep_freed_memory()
    if dataset != "digits":
        request.getfixturevalue("mirror")
    chosen = job(family, dataset, f"trainer.max_epochs={epochs}")
    data = load(chosen.cell.dataset, chosen.places)
    splits = [chosen.cell.splitter()(data, seed) for seed in range(20)]
    trained = [train(chosen.cell, data, splits, compiled) for compiled in (True, False)]
    scores = [np.array([r.history[r.best_epoch - 1]["test_accuracy"] for r in replicas]) for replicas in trained]
    # One in a thousand by chance.
    difference = paired(scores[0] - scores[1])
    low, high = difference.interval(0.999)
    spread = np.std(scores[1], ddof=1)
    print(
        f"{family} on {dataset}: {scores[0].mean():.4f} compiled, {scores[1].mean():.4f} plain, difference "
        f"{difference.mean:+.4f} ({low:+.4f} … {high:+.4f}), seeds' std {spread:.4f}"
    )
    assert np.ptp(scores[0] - scores[1]) == 0 or low <= 0 <= high
    assert abs(difference.mean) < spread / 2
