"""GMN's two-phase training: the keys learn from their own loss only, and nothing else does."""

from collections.abc import Sequence

import pytest
import torch

from rethinking.configuration.composition import compose_job
from rethinking.data.split import StratifiedSplit
from rethinking.layers.initial import initialise
from rethinking.tasks.classification import Classification
from rethinking.training.group import ReplicaGroup, train_group
from rethinking.training.state import Replica
from tests.conftest import in_double, random_dataset

CPU = torch.device("cpu")


def group(*overrides: str, seeds: Sequence[int] = (0, 1)) -> ReplicaGroup:
    dataset = random_dataset(7)
    job = compose_job(["model=gmn", "pooling=learned", "dataset=digits", "model.kl_period=2", *overrides])
    network = job.cell.build(dataset, Classification())(len(seeds))
    initialise(network, seeds)
    splits = [StratifiedSplit(0.2, 0.2)(dataset, seed) for seed in seeds]
    return ReplicaGroup(network, dataset, splits, seeds, Classification(), job.cell.trainer, CPU)


def moved(group: ReplicaGroup, epoch: int) -> set[str]:
    """Which parameters and buffers an epoch of training changes."""
    before = {name: value.clone() for name, value in group.network.state_dict().items()}
    group.train(epoch)
    return {name for name, value in group.network.state_dict().items() if not torch.equal(value, before[name])}


def is_key(name: str) -> bool:
    return name.endswith(".keys")


def test_every_second_epoch_moves_the_keys_and_nothing_else() -> None:
    learning = group()
    for epoch in (1, 3):
        names = moved(learning, epoch)
        assert names and not any(map(is_key, names))
    # The last layer has one key: nothing to choose, nothing to learn.
    assert moved(learning, 2) == {"pools.0.select.keys"}


def test_as_released_the_keys_stay_and_the_same_step_moves_the_rest() -> None:
    released = group("model.network.keys_learn=false")
    for epoch in (1, 2, 3, 4):
        names = moved(released, epoch)
        assert names and not any(map(is_key, names))
    assert "out.weight" not in moved(released, 6), "the loss of the keys does not reach the read-out"


@pytest.mark.parametrize("pooling", ["distance", "uniform"])
def test_what_is_drawn_has_ordinary_epochs_only(pooling: str) -> None:
    drawn = group(f"pooling={pooling}")
    assert "out.weight" in moved(drawn, 2)


def test_the_unsupervised_step_equals_one_over_all_graphs_at_once() -> None:
    """Gradients add up over batches: the step does not depend on the batch size beyond the loss's own division."""
    small, whole = (group(f"trainer.batch_size={size}", "model.kl_weight=1.0", seeds=(0,)) for size in (3, 100))
    keys = [learning.network.pools[0].select.keys.detach().clone() for learning in (small, whole)]
    assert torch.equal(*keys)
    for learning in (small, whole):
        learning.train(2)
    # Adam's first step is the sign of the gradient, whatever the scale of the loss.
    steps = [
        learning.network.pools[0].select.keys.detach() - before
        for learning, before in zip((small, whole), keys, strict=True)
    ]
    assert float((steps[0].sign() == steps[1].sign()).float().mean()) > 0.95


def test_the_rate_of_the_keys_stays_where_that_of_the_rest_has_decayed() -> None:
    """Adam's first step is as long as its rate, unless the gradient is next to nothing."""
    learning = group("model.kl_weight=10000.0")
    rate = learning.config.learning_rate
    learning.state.learning_rate.fill_(rate / 1000)
    keys = learning.network.pools[0].select.keys
    before = keys.detach().clone()
    learning.train(2)
    longest = (keys.detach() - before).abs().flatten(1).max(dim=1).values
    assert longest.tolist() == pytest.approx([rate, rate], rel=1e-2)


@pytest.mark.usefixtures("double")
def test_a_replica_that_leaves_takes_nothing_from_the_others() -> None:
    """Groups shrink, with both optimisers: each seed still ends as if alone."""
    dataset = in_double(random_dataset(7))
    small = ["trainer.batch_size=8", "trainer.stop_patience=4", "trainer.max_epochs=16", "trainer.learning_rate=0.01"]
    job = compose_job(["model=gmn", "pooling=learned", "dataset=digits", "model.kl_period=2", *small])
    build = job.cell.build(dataset, Classification())

    def train(seeds: Sequence[int]) -> dict[int, Replica]:
        splits = [StratifiedSplit(0.2, 0.2)(dataset, seed) for seed in seeds]
        replicas = train_group(
            build, dataset, splits, seeds, Classification(), job.cell.trainer, 16, CPU, lambda replicas: None
        )  # fmt: skip
        return {replica.seed: replica for replica in replicas}

    together = train(range(5))
    assert len({len(replica.history) for replica in together.values()}) > 1, "none left early: a weak test"
    for seed, replica in together.items():
        alone = train([seed])[seed]
        assert len(replica.history) == len(alone.history)
        for ours, expected in zip(replica.history, alone.history, strict=True):
            assert ours == pytest.approx(expected, abs=1e-6)
