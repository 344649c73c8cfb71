"""Each configuration file composes and instantiates, alone and in every combination."""

from itertools import product

import numpy as np
import pytest
import torch

from rethinking.composition import compose_job, expand_sweep, options, possible_variants
from rethinking.data.batches import Batches
from rethinking.errors import UserError
from rethinking.models.layers import initialise
from tests.conftest import random_dataset

GROUPS = ("model", "pooling", "dataset", "trainer", "fidelity")


def base(group: str, option: str) -> list[str]:
    chosen = {"model": "graclus", "pooling": "learned", "dataset": "digits", group: option}
    if group == "model":
        chosen["pooling"] = possible_variants(option)[0]
    if group == "pooling":
        chosen["model"] = next(model for model in options("model") if option in possible_variants(model))
    return [f"{key}={value}" for key, value in chosen.items()]


@pytest.mark.parametrize(("group", "option"), [(group, option) for group in GROUPS for option in options(group)])
def test_each_file_composes_and_is_named_as_its_file(group: str, option: str) -> None:
    cell = compose_job(base(group, option)).cell
    named = {"model": cell.family, "pooling": cell.variant, "dataset": cell.dataset.name, "fidelity": cell.fidelity}
    assert named.get(group, option) == option


@pytest.mark.parametrize(("model", "pooling"), list(product(options("model"), options("pooling"))))
def test_each_possible_pair_predicts(model: str, pooling: str) -> None:
    overrides = [f"model={model}", f"pooling={pooling}", "dataset=digits"]
    if pooling not in possible_variants(model):
        with pytest.raises(UserError, match="cannot be combined"):
            compose_job(overrides)
        return
    cell = compose_job(overrides).cell
    dataset = random_dataset(0)
    network = cell.build(dataset, cell.task())(2)
    initialise(network, [0, 1])
    batch = Batches(dataset, torch.device("cpu")).batch(np.array([[0, 1], [2, 3]]), np.zeros(2, np.uint64))
    prediction, _ = network(batch.x, network.prepare(batch.topology, batch.keys))
    assert prediction.shape == (2, 2, 2)


def test_table_s2() -> None:
    """Layers, hidden and batch size of Graclus and Complement (Table S2)."""
    table = {"nci1": (3, 64, 8), "imdb_b": (2, 64, 8)}
    for name, row in table.items():
        cell = compose_job(base("dataset", name)).cell
        assert (cell.network["layers"], cell.network["hidden"], cell.trainer.batch_size) == row


def test_the_training_protocol() -> None:
    trainer = compose_job(base("dataset", "nci1")).cell.trainer
    assert (trainer.learning_rate, trainer.min_learning_rate) == (1e-3, 1e-5)
    assert (trainer.decay_factor, trainer.decay_patience) == (0.5, 10)
    assert (trainer.stop_patience, trainer.max_epochs) == (50, 1000)


def test_a_sweep_expands_to_every_combination() -> None:
    jobs = expand_sweep(["model=graclus", "pooling=learned,complement", "dataset=nci1,imdb_b", "seeds=[0,1]"])
    assert len(jobs) == 4
    assert all("seeds=[0,1]" in job for job in jobs)


def test_seeds() -> None:
    assert compose_job([*base("dataset", "digits"), "seeds=3"]).seeds == [0, 1, 2]
    assert compose_job([*base("dataset", "digits"), "seeds=[7,2]"]).seeds == [7, 2]
    assert compose_job(base("dataset", "digits")).seeds == list(range(20))
