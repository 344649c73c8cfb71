"""A step leaves no cycles behind: its tensors are freed as it ends, and Python's collector has nothing to do."""

import gc

import pytest
import torch
from torch import Tensor

from rethinking.configuration.composition import compose_cell, options, possible_variants
from rethinking.layers.initial import initialise
from rethinking.training.group import ReplicaGroup
from tests.conftest import random_dataset
from tests.training.test_group import SPLITTER

CASES = [(model, variant) for model in options("model") for variant in possible_variants(model)[:1]]


@pytest.mark.parametrize(("model", "variant"), CASES)
def test_no_tensor_waits_for_the_collector(model: str, variant: str) -> None:
    dataset = random_dataset(7)
    cell = compose_cell([f"model={model}", f"pooling={variant}", "dataset=digits", "trainer.batch_size=5"])
    task = cell.task()
    network = cell.build(dataset, task)(2)
    initialise(network, range(2))
    splits = [SPLITTER(dataset, seed) for seed in range(2)]
    group = ReplicaGroup(network, dataset, splits, range(2), task, cell.trainer, torch.device("cpu"))
    # What is there already need not be looked through.
    gc.freeze()
    # Once, as what is compiled then leaves cycles of numba's.
    group.run_epoch(8)
    gc.collect()
    gc.freeze()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        group.run_epoch(8)
        gc.collect()
        left = [value.shape for value in gc.garbage if isinstance(value, Tensor)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.unfreeze()
        gc.enable()
    assert not left
