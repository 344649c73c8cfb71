"""R replicas equal R single runs; replicas leave when they are done; variants with one seed are paired."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau

from rethinking.data.batches import Batches
from rethinking.data.dataset import GraphDataset
from rethinking.data.split import Split, StratifiedSplit
from rethinking.graphs.levels import SparseLevel
from rethinking.layers.initial import InitialDraw, ReplicaLayer, initialise
from rethinking.layers.linear import Linear
from rethinking.models.family import Output
from rethinking.models.graclus import Graclus
from rethinking.models.inputs import DataShape
from rethinking.pooling.matching import ComplementMatching, Matching, NeighbourMatching
from rethinking.tasks.classification import Classification
from rethinking.tasks.regression import Regression
from rethinking.training.group import ReplicaGroup, train_group
from rethinking.training.settings import TrainerConfig
from rethinking.training.state import Replica
from tests.conftest import CPU, random_dataset

CONFIG = TrainerConfig(
    batch_size=8,
    learning_rate=1e-2,
    min_learning_rate=1e-5,
    decay_factor=0.5,
    decay_patience=1,
    stop_patience=4,
    max_epochs=12,
    gradient_clip=None,
)
SPLITTER = StratifiedSplit(val=0.2, test=0.2)


def train(
    dataset: GraphDataset, seeds: Sequence[int], select: Matching | None = None, config: TrainerConfig = CONFIG
) -> dict[int, Replica]:
    replicas = train_group(
        build=lambda r: Graclus(r, DataShape(dataset.in_features, 2, 12), select or NeighbourMatching, 2, 16, 2),
        dataset=dataset,
        splits=[SPLITTER(dataset, seed) for seed in seeds],
        seeds=seeds,
        task=Classification(),
        config=config,
        evaluation_batch_size=16,
        device=torch.device("cpu"),
        on_epoch=lambda group: None,
    )
    return {replica.seed: replica for replica in replicas}


@pytest.mark.usefixtures("both_forms")
def test_replicas_equal_single_runs_to_the_end(dataset: GraphDataset) -> None:
    """The whole training, with early stopping and a shrinking group."""
    seeds = [0, 1, 2, 3]
    together = train(dataset, seeds)
    assert len({len(replica.history) for replica in together.values()}) > 1, "no replica left early"
    for seed in seeds:
        alone = train(dataset, [seed])[seed]
        assert alone.best_epoch == together[seed].best_epoch
        assert len(alone.history) == len(together[seed].history)
        for ours, expected in zip(together[seed].history, alone.history, strict=True):
            assert ours == pytest.approx(expected, abs=1e-4)


def test_gradients_equal_those_of_single_runs(digits: GraphDataset) -> None:
    seeds = [0, 1, 2]
    graphs = np.random.default_rng(0).permutation(len(digits))[:24].reshape(3, 8)
    keys = np.array([5, 6, 7], np.uint64)

    def gradients(replicas: list[int]) -> dict[str, Tensor]:
        model = Graclus(len(replicas), DataShape(3, 10, 64), NeighbourMatching, 3, 64, 2)
        initialise(model, [seeds[r] for r in replicas])
        batch = Batches(digits, torch.device("cpu")).batch(graphs[replicas], keys[replicas])
        prediction, _ = model(batch.x, batch.level)
        Classification().loss(prediction, batch.y).sum().backward()
        return {name: parameter.grad for name, parameter in model.named_parameters()}

    together = gradients([0, 1, 2])
    for r in range(3):
        for name, gradient in gradients([r]).items():
            assert gradient.abs().max() > 0
            assert torch.allclose(together[name][r], gradient[0], atol=1e-5), name


def test_variants_with_one_seed_share_split_initial_weights_and_order() -> None:
    """Differences between variants are paired by construction."""
    dataset = random_dataset(7)
    seen: dict[str, list] = {}
    for select in (NeighbourMatching, ComplementMatching):
        record = seen.setdefault(select.__name__, [])

        class Recording(Graclus):
            def forward(self, x, level, record=record):
                if self.training:
                    record.append((level.keys, {n: p.detach().clone() for n, p in self.named_parameters()}))
                return super().forward(x, level)

        for _ in train_group(
            lambda r, select=select, kind=Recording: kind(r, DataShape(dataset.in_features, 2, 12), select, 2, 16, 2),
            dataset, [SPLITTER(dataset, 3)], [3], Classification(), CONFIG, 16, torch.device("cpu"), lambda group: None,
        ):  # fmt: skip
            pass
    learned, complement = seen.values()
    for name, value in learned[0][1].items():
        assert torch.equal(value, complement[0][1][name])
    # The keys are made from the graphs' numbers, so equal keys mean equal graphs in equal order.
    for (ours, _), (theirs, _) in zip(learned, complement, strict=False):
        assert np.array_equal(ours, theirs)
    assert not torch.equal(learned[2][1]["out.weight"], complement[2][1]["out.weight"])


def test_seeds_differ() -> None:
    dataset = random_dataset(7)
    a, b = SPLITTER(dataset, 0), SPLITTER(dataset, 1)
    assert not np.array_equal(a.test, b.test)
    replicas = train(dataset, [0, 1])
    assert replicas[0].history[0]["train_loss"] != replicas[1].history[0]["train_loss"]


def test_early_stopping_and_the_best_epoch() -> None:
    """The test score is that of the first epoch with the best validation score; patience counts from there."""
    for replica in train(random_dataset(7), [0, 1, 2]).values():
        scores = [record["val_accuracy"] for record in replica.history]
        assert replica.best_epoch == 1 + int(np.argmax(scores))
        waited = len(scores) - replica.best_epoch
        assert waited == CONFIG.stop_patience or len(scores) == CONFIG.max_epochs
        assert waited <= CONFIG.stop_patience


class Exploding(ReplicaLayer):
    """Predicts NaN for replicas whose seed is odd, from the second epoch on."""

    def __init__(self, replicas: int) -> None:
        super().__init__()
        self.linear = Linear(replicas, 5, 2)
        self.register_buffer("broken", torch.zeros(replicas, 1, 1))
        self.passes = 0

    def reset(self, draw) -> None:
        self.broken[1::2] = math.nan

    def forward(self, x: Tensor, level) -> Output:
        self.passes += 1
        topology = level.topology
        x = torch.stack([x[r, topology.start.reshape(len(x), -1)[r] - r * topology.width] for r in range(len(x))])
        return self.linear(x) + (self.broken if self.passes > 8 else 0), {}


def test_a_diverging_replica_fails_alone() -> None:
    dataset = random_dataset(7)
    replicas = {
        replica.seed: replica
        for replica in train_group(
            Exploding,
            dataset,
            [SPLITTER(dataset, s) for s in range(3)],
            range(3),
            Classification(),
            CONFIG,
            16,
            torch.device("cpu"),
            lambda group: None,
        )
    }
    assert "not a finite number" in replicas[1].error
    assert replicas[0].error is None and replicas[2].error is None
    assert len(replicas[1].history) < len(replicas[0].history)


def test_splits_of_unequal_sizes_are_refused() -> None:
    dataset = random_dataset(7)
    splits = [Split(np.arange(n), np.arange(n, n + 5), np.arange(n + 5, n + 10)) for n in (10, 12)]
    with pytest.raises(ValueError, match="equal sizes"):
        list(
            train_group(
                Exploding, dataset, splits, [0, 1], Classification(), CONFIG, 16, torch.device("cpu"), lambda g: None
            )
        )


class Drifting(ReplicaLayer):
    """A network that learns nothing: it predicts what lies `drift` further from every target after each step."""

    def __init__(self, replicas: int, drift: float) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.empty(replicas, 1))
        self.register_buffer("steps", torch.zeros(replicas, 1))
        self.drift = drift

    def reset(self, draw: InitialDraw) -> None:
        draw.uniform(self.unused, "unused", 1.0)

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        self.steps += self.training
        # Targets are 0 and 1.
        return (-self.drift * self.steps + 0 * self.unused).expand(-1, level.graphs).unsqueeze(-1), {}


@pytest.mark.parametrize("drift", [0.0, 1e-5], ids=["constant", "slowly worse"])
def test_an_error_that_does_not_fall_lets_the_rate_decay(drift: float) -> None:
    """As torch's ReduceLROnPlateau with mode="min": by −error, such an error would count as improving for ever."""
    dataset, config = random_dataset(7), replace(CONFIG, stop_patience=30, max_epochs=30)
    (replica,) = train_group(
        lambda replicas: Drifting(replicas, drift), dataset, [SPLITTER(dataset, 0)], [0], Regression(), config, 16,
        torch.device("cpu"), lambda state: None,
    )  # fmt: skip
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=config.learning_rate)
    schedule = ReduceLROnPlateau(
        optimizer, "min", config.decay_factor, config.decay_patience, min_lr=config.min_learning_rate
    )
    for record in replica.history:
        assert record["learning_rate"] == optimizer.param_groups[0]["lr"]
        schedule.step(record["val_mae"])
    assert replica.history[-1]["learning_rate"] == config.min_learning_rate


def test_the_loss_of_training_is_that_of_all_its_graphs() -> None:
    """Also where the last batch has fewer: a constant network errs on a graph by its target."""
    targets = np.arange(1, 31)
    dataset = replace(random_dataset(7), y=targets)
    split = Split(np.arange(18), np.arange(18, 24), np.arange(24, 30))
    assert len(split.train) % CONFIG.batch_size, "all batches are equal: a weak test"
    (replica,) = train_group(
        lambda replicas: Drifting(replicas, 0.0), dataset, [split], [0], Regression(), replace(CONFIG, max_epochs=1),
        16, CPU, lambda state: None,
    )  # fmt: skip
    assert replica.history[0]["train_loss"] == pytest.approx(targets[split.train].mean())


class Noting(ReplicaLayer):
    """Learns nothing: notes which graphs it is given, and the random stream of each, [R, B] both."""

    def __init__(self, replicas: int) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.empty(replicas, 1))
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []

    def reset(self, draw: InitialDraw) -> None:
        draw.uniform(self.unused, "unused", 1.0)

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        assert level.origin is not None
        self.seen.append((level.origin.graphs.reshape(len(x), -1), level.keys.reshape(len(x), -1)))
        return (0 * self.unused).expand(-1, level.graphs).unsqueeze(-1), {}


def test_every_epoch_has_its_own_order_and_every_part_of_it_its_own_streams() -> None:
    """All parts are of the same graphs here, so that a graph's streams differ by what they are drawn for alone."""
    dataset, seeds, graphs = random_dataset(7), [0, 1], np.arange(20)
    network = Noting(len(seeds))
    initialise(network, seeds)
    splits = [Split(graphs, graphs, graphs) for _ in seeds]
    group = ReplicaGroup(network, dataset, splits, seeds, Regression(), CONFIG, CPU)
    orders, streams = [], []
    for epoch in (1, 2):
        for part in ("train", "val", "test"):
            network.seen.clear()
            if part == "train":
                group.train(epoch)
            else:
                group.predict(part, epoch, 8)
            order, keys = (np.concatenate(arrays, axis=1) for arrays in zip(*network.seen, strict=True))
            if part == "train":
                orders.extend(order.tolist())
            else:
                assert (order == graphs).all()
            streams.extend(np.take_along_axis(keys, order.argsort(axis=1), axis=1))
    assert len({tuple(order) for order in orders}) == len(orders) == 2 * len(seeds)
    assert all(sorted(order) == graphs.tolist() for order in orders)
    for of_graph in np.stack(streams).T:
        assert len(set(of_graph.tolist())) == 2 * 3 * len(seeds)
