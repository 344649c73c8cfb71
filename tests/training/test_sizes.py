"""As many nodes at once as keep a core busy."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rethinking.configuration.composition import compose_cell
from rethinking.layers.initial import initialise
from rethinking.training import sizes
from rethinking.training.group import ReplicaGroup
from rethinking.training.sizes import graphs_at_once, in_equal_parts, replicas_at_once
from tests.conftest import in_double, random_dataset
from tests.training.test_group import SPLITTER


def test_replicas_and_graphs_share_the_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = random_dataset(7)
    mean = len(dataset.x) / len(dataset)
    monkeypatch.setattr(sizes, "NODES", round(60 * mean))
    assert replicas_at_once(dataset, 6) == graphs_at_once(dataset, 6) == 10
    # One at least, however large its graphs.
    assert replicas_at_once(dataset, 1000) == graphs_at_once(dataset, 1000) == 1


@pytest.mark.parametrize(
    ("count", "most", "expected"), [(20, 20, 20), (20, 50, 20), (20, 17, 10), (20, 7, 7), (1, 3, 1)]
)
def test_the_last_group_is_not_left_alone(count: int, most: int, expected: int) -> None:
    assert in_equal_parts(count, most) == expected <= most


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("model", "variant"), [("graclus", "learned"), ("graclus", "complement"), ("gmn", "learned")])
def test_how_many_graphs_are_evaluated_at_once_changes_nothing(model: str, variant: str) -> None:
    """Nor which matchings are drawn: each graph has a stream of its own."""
    dataset = in_double(random_dataset(7))
    cell = compose_cell([f"model={model}", f"pooling={variant}", "dataset=digits"])
    task = cell.task()
    network = cell.build(dataset, task)(2)
    initialise(network, range(2))
    splits = [SPLITTER(dataset, seed) for seed in range(2)]
    group = ReplicaGroup(network, dataset, splits, range(2), task, cell.trainer, torch.device("cpu"))
    group.train(1)
    # As large as it may, one by one, and with a remainder.
    (expected, y), *others = (group.predict("test", 1, size) for size in (None, 1, 4))
    assert expected.shape[1] == len(splits[0].test) > 4
    for prediction, targets in others:
        assert torch.allclose(prediction, expected, atol=1e-10)
        assert np.array_equal(targets, y)


DRAWS = """
import torch
from torch import nn

class Draws(nn.Module):
    def __init__(self, in_channels):
        super().__init__()

    def forward(self, x, edge_index, batch):
        return x * torch.rand(len(x), 1), edge_index, batch
"""


def test_what_is_drawn_in_evaluation_hangs_on_no_other_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator is called with a batch of one replica, and as many are a batch whoever still trains."""
    (tmp_path / "drawing_pooler.py").write_text(DRAWS)
    monkeypatch.syspath_prepend(tmp_path)
    dataset = random_dataset(7)
    monkeypatch.setattr(sizes, "NODES", round(4 * len(dataset.x) / len(dataset)))
    assert graphs_at_once(dataset, 1) > graphs_at_once(dataset, 3)
    words = ["model=host", "pooler=own", "pooler.operator.path=drawing_pooler.Draws", "pooling=learned"]
    cell = compose_cell([*words, "dataset=digits"])
    task, found = cell.task(), []
    for seeds in (range(1), range(3)):
        network = cell.build(dataset, task)(len(seeds))
        initialise(network, seeds)
        splits = [SPLITTER(dataset, seed) for seed in seeds]
        group = ReplicaGroup(network, dataset, splits, seeds, task, cell.trainer, torch.device("cpu"))
        found.append(group.predict("test", 1, None)[0][0])
    assert len(found[0]) > 4 and torch.allclose(found[0], found[1], atol=1e-5)
