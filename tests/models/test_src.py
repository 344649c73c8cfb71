"""The classifier of experiment 3 of Grattarola et al. 2022 is what its description says, and trains as it says."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rethinking.configuration.composition import compose_cell
from rethinking.data.batches import Batches
from rethinking.data.split import RandomSplit
from rethinking.layers.initial import initialise
from rethinking.layers.norm import BatchNorm
from rethinking.models.inputs import DataShape
from rethinking.models.src import SrcClassifier
from rethinking.pooling.foreign import NoPool
from rethinking.tasks.classification import Classification
from rethinking.training.group import train_group
from tests.conftest import CPU, random_dataset

SMALL = ["dataset=digits", "model.hidden=8"]


def network(*words: str) -> SrcClassifier:
    made = compose_cell(["model=src", *words, *SMALL]).build(random_dataset(7), Classification())(1)
    assert isinstance(made, SrcClassifier)
    initialise(made, [0])
    return made.eval()


def perceptron(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    for number in (0, 1):
        x = x @ weights[f"{name}.linears.{number}.weight"][0] + weights[f"{name}.linears.{number}.bias"][0]
        x = x / (1 + 0.001) ** 0.5  # in evaluation, with the statistics it begins with
        x = x.relu() if number == 0 else x
    return x


def general_conv(weights: dict[str, Tensor], name: str, x: Tensor, adjacency: Tensor) -> Tensor:
    x = x @ weights[f"{name}.linear.weight"][0] + weights[f"{name}.linear.bias"][0]
    return adjacency @ (x / (1 + 0.001) ** 0.5).relu()


@pytest.mark.parametrize(
    ("words", "directed"), [(["pooling=none"], True), (["pooler=src/diffpool", "pooling=learned"], False)]
)
def test_equals_the_formula(words: list[str], directed: bool) -> None:
    """On one graph, with its matrix; the pooled one has weights, which count."""
    classifier, dataset = network(*words), random_dataset(7, directed=directed)
    batch = Batches(dataset, CPU).batch(np.array([[3]]), np.zeros(1, np.uint64))
    weights = {name: value.detach() for name, value in classifier.state_dict().items()}
    nodes = int(dataset.sizes[3])
    first, last = dataset.in_ptr[dataset.node_ptr[3:5]]
    edges = torch.from_numpy(dataset.edge_index[:, first:last])
    adjacency = torch.zeros(nodes, nodes).index_put(tuple(edges - int(dataset.node_ptr[3])), torch.ones(edges.shape[1]))
    x = perceptron(weights, "before", batch.x[0, :nodes])
    x = torch.cat([general_conv(weights, "first", x, adjacency), x], dim=1)
    losses = {}
    if "pooling=learned" in words:
        looped = adjacency + torch.eye(nodes)
        scale = looped.sum(dim=1).rsqrt()
        filtered = (scale[:, None] * looped * scale) @ x
        assign, embed = (weights[f"pool.{name}"][0] for name in ("assign", "embed"))
        s = (filtered @ assign).softmax(dim=1)
        losses["link"] = (adjacency - s @ s.T).norm()  # not divided by the number of entries
        x, adjacency = s.T @ filtered @ embed, s.T @ adjacency @ s
    x = torch.cat([general_conv(weights, "second", x, adjacency), x], dim=1)
    expected = perceptron(weights, "after", x.sum(dim=0, keepdim=True))
    prediction, found = classifier(batch.x, batch.level)
    assert torch.allclose(prediction[0], expected, rtol=1e-4, atol=1e-5)
    for name, loss in losses.items():
        assert found[name].item() == pytest.approx(loss.item(), rel=1e-4)


def test_clusters_are_half_of_the_rounded_mean_rounded_down() -> None:
    dataset = random_dataset(7)
    clusters = int(0.5 * np.ceil(dataset.sizes.mean()))
    assert network("pooler=src/mincut", "pooling=learned").state_dict()["pool.assign"].shape == (1, 16, clusters)


def test_and_the_mean_is_rounded_up_before_that() -> None:
    """⌊½ · ⌈7.2⌉⌋ = 4, and ⌊½ · 7.2⌋ would be 3."""
    asked: list[dict[str, Any]] = []

    def select(**sizes: Any) -> NoPool:
        asked.append(sizes)
        return NoPool(**sizes)

    SrcClassifier(1, DataShape(5, 2, max_nodes=12, mean_nodes=7.2), select, BatchNorm, hidden=8, ratio=0.5)
    (sizes,) = asked
    assert (sizes["clusters"], sizes["max_nodes"], sizes["in_features"], sizes["ratio"]) == (4, 12, 16, 0.5)


def test_the_epoch_that_counts_has_the_least_validation_loss() -> None:
    """By more than the least gain, and patience counts from there; the rate stays."""
    words = ["trainer=src", "trainer.stop_patience=3", "trainer.least_gain=0.01", "trainer.max_epochs=30"]
    cell, dataset = compose_cell(["model=src", "pooling=none", *words, *SMALL]), random_dataset(7)
    split = RandomSplit(0.2, 0.2)(dataset, 0)
    build = cell.build(dataset, Classification())
    (replica,) = train_group(build, dataset, [split], [0], Classification(), cell.trainer, None, CPU, lambda _: None)
    best, best_epoch = np.inf, 0
    for record in replica.history:
        if record["val_loss"] < best - 0.01:
            best, best_epoch = record["val_loss"], record["epoch"]
    assert replica.best_epoch == best_epoch
    assert len(replica.history) == min(best_epoch + 3, 30)
    assert {record["learning_rate"] for record in replica.history} == {5e-4}
