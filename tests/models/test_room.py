"""Every pair of family and variant gives the same numbers on a batch with more room than it needs."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rethinking.data.batches import Batches
from rethinking.graphs.levels import SparseLevel
from rethinking.layers.initial import initialise
from rethinking.models.family import phases_of
from rethinking.tasks.classification import Classification
from tests.conftest import CPU, in_double, random_dataset
from tests.graphs.test_padded import roomy, wide
from tests.layers.test_molecules import molecules
from tests.test_pairs import RECORDED, cell, pairs_on

# Operators of elsewhere are called with lists of nodes and edges; the steps around them are not of fixed shapes.
CASES = [pytest.param(*pair, "directed") for pair in RECORDED] + pairs_on("undirected", "molecules", pairs=RECORDED)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("model", "pooling", "data"), CASES)
def test_predictions_losses_gradients_and_statistics_are_the_same(model: str, pooling: str, data: str) -> None:
    chosen = cell(model, pooling)
    dataset = in_double(molecules() if data == "molecules" else random_dataset(7, directed=data == "directed"))
    graphs = np.random.default_rng(1).permutation(len(dataset))[:18].reshape(3, 6)
    batch = Batches(dataset, CPU).batch(graphs, np.array([3, 5, 7], np.uint64))
    topology, keys = batch.level.topology, batch.level._keys
    large = roomy(topology)
    build = chosen.build(dataset, Classification())
    expected = numbers(build(3), batch.x, batch.y, SparseLevel(topology, CPU, keys))
    result = numbers(build(3), wide(batch.x, large, 0.0), batch.y, SparseLevel(large, CPU, keys))
    assert expected.keys() == result.keys() and len(expected) >= 2
    for name, value in expected.items():
        assert torch.allclose(result[name], value, rtol=1e-7, atol=1e-9), name


def numbers(network: nn.Module, x: Tensor, y: Tensor, level: SparseLevel) -> dict[str, Tensor]:
    """All that comes out of a training step of each phase, by name."""
    initialise(network, [0, 1, 2])
    found: dict[str, Tensor] = {}
    for phase in phases_of(network):
        network.zero_grad()
        prediction, losses = (phase.losses or network)(x, level)
        sum(losses.values(), Classification().loss(prediction, y)).sum().backward()
        found |= {f"{phase.name} {name}": value.detach() for name, value in losses.items()}
        found |= {f"{phase.name} grad {name}": grad for name, grad in _grads(network)}
        found[f"{phase.name} prediction"] = prediction.detach()
    return found | dict(network.named_buffers())


def _grads(network: nn.Module) -> list[tuple[str, Tensor]]:
    return [(name, p.grad.clone()) for name, p in network.named_parameters() if p.grad is not None]
