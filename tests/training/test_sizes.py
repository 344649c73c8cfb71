"""As many nodes at once as keep a core busy."""

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
