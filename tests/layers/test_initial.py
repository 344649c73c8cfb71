"""Initial values have the range and the spread that each layer states, and every layer draws its own."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rethinking.graphs.fields import Fields
from rethinking.layers.convolutions import GraphConv, SageConv
from rethinking.layers.copies import Copies
from rethinking.layers.initial import initialise
from rethinking.layers.linear import GlorotLinear, Linear
from rethinking.layers.molecules import Embedding, MoleculeConv
from rethinking.layers.norm import BatchNorm
from rethinking.pooling.assignment import LinearAssignment, SageAssignment
from rethinking.pooling.foreign import ForeignPool
from rethinking.pooling.memory import CombineHeads, DistanceAssignment, MemoryAssignment
from rethinking.pooling.random_assignment import Normal, RandomAssignment
from tests.pooling.made_up import Soft

FIELDS = Fields(node=(90, 5), edge=(7, 2))


def uniform(bound: float) -> tuple[float, float]:
    return -bound, bound


# A layer of two replicas, which of its values, and from where to where they are uniform.
UNIFORM: dict[str, tuple[Callable[[], nn.Module], Callable[[Any], Tensor], tuple[float, float]]] = {
    "linear": (lambda: Linear(2, 25, 100), lambda layer: layer.weight, uniform(1 / 5)),
    "linear's bias": (lambda: Linear(2, 25, 1000), lambda layer: layer.bias, uniform(1 / 5)),
    "glorot": (lambda: GlorotLinear(2, 25, 125), lambda layer: layer.weight, uniform(0.2)),
    "graph": (lambda: GraphConv(2, 25, 100), lambda layer: layer.weight, uniform(1 / 5)),
    "graph's bias": (lambda: GraphConv(2, 25, 1000), lambda layer: layer.bias, uniform(1 / 5)),
    "sage": (lambda: SageConv(2, 25, 100), lambda layer: layer.linear.weight, uniform(1 / 5)),
    # Each field of a table has a bound of its own.
    "embedding": (lambda: Embedding(2, FIELDS.node, 60), lambda layer: layer.table[:, :90], uniform(0.2)),
    "its other field": (lambda: Embedding(2, FIELDS.node, 595), lambda layer: layer.table[:, 90:], uniform(0.1)),
    "memory": (lambda: MemoryAssignment(2, 20, 9, 10, 10), lambda layer: layer.keys, (0.0, 1.0)),
    "distance": (lambda: DistanceAssignment(2, 20, 9, 10, 10, 2.0, 10.0), lambda layer: layer.keys, (2.0, 10.0)),
    "heads": (lambda: CombineHeads(2, 2500), lambda layer: layer.weight, uniform(1 / 50)),
}


@pytest.mark.parametrize(("make", "values", "ends"), UNIFORM.values(), ids=UNIFORM)
def test_values_are_uniform_between_the_ends_that_the_layer_states(
    make: Callable[[], nn.Module], values: Callable[[Any], Tensor], ends: tuple[float, float]
) -> None:
    layer = make()
    initialise(layer, [0, 1])
    low, high = ends
    for drawn in values(layer).detach():
        assert drawn.numel() >= 1000
        assert low <= drawn.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < drawn.max() <= high
        assert float(drawn.std()) == pytest.approx((high - low) / 12**0.5, rel=0.05)


def test_or_they_are_normal() -> None:
    """As a molecule's root is; what is drawn once and not trained: `tests/pooling/test_assignment.py`."""
    conv = MoleculeConv(2, FIELDS, 2000)
    initialise(conv, [0, 1])
    for drawn in conv.root.detach():
        assert abs(float(drawn.mean())) < 0.1
        assert float(drawn.std()) == pytest.approx(1, rel=0.05)
        # As many within one standard deviation as there are of a normal distribution.
        assert float((drawn.abs() < 1).double().mean()) == pytest.approx(0.683, abs=0.04)


def test_what_is_not_drawn_is_zero_or_one() -> None:
    glorot, norm = GlorotLinear(2, 3, 4), BatchNorm(2, 3)
    for layer in (glorot, norm):
        initialise(layer, [0, 1])
    for zeros in (glorot.bias, norm.bias, norm.running_mean):
        assert not zeros.any()
    for ones in (norm.weight, norm.running_var):
        assert (ones == 1).all()


EQUAL: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: Linear(2, 3, 4),
    "glorot": lambda: GlorotLinear(2, 3, 4, bias=False),
    "graph": lambda: GraphConv(2, 3, 4),
    "sage": lambda: SageConv(2, 3, 4),
    "embedding": lambda: Embedding(2, (4, 4), 3),
    "molecules": lambda: MoleculeConv(2, FIELDS, 4),
    "copies": lambda: Copies(2, lambda: nn.Linear(3, 4)),
    "memory": lambda: MemoryAssignment(2, 3, 9, 4, 5),
    "distance": lambda: DistanceAssignment(2, 3, 9, 4, 5, 0.0, 10.0),
    "random": lambda: RandomAssignment(2, 3, 9, 4, Normal(0.0, 1.0), invariant=False),
    "scores": lambda: LinearAssignment(2, 3, 9, 4),
    "sage scores": lambda: SageAssignment(2, 3, 9, 4),
    "operator": lambda: ForeignPool(2, 3, 9, 4, 0.5, Soft),
}


@pytest.mark.parametrize("make", EQUAL.values(), ids=EQUAL)
def test_equal_layers_at_two_places_differ_and_so_do_seeds(make: Callable[[], nn.Module]) -> None:
    """All that a layer draws, be it learned or drawn once; at the same place with the same seed it is the same."""
    layers, again = (nn.ModuleList([make(), make()]) for _ in range(2))
    initialise(layers, [3, 4])
    initialise(again, [4, 3])
    first, second = (layer.state_dict() for layer in layers)
    assert first
    for name, value in first.items():
        drawn = [*value, *second[name]]
        for one in range(4):
            assert all(not torch.equal(drawn[one], drawn[other]) for other in range(one)), name
    for name, value in layers.state_dict().items():
        assert torch.equal(again.state_dict()[name].flip(0), value), name


def test_parameters_of_one_layer_differ() -> None:
    """Of one shape and drawn alike, they have names of their own; so have the fields of a table."""
    conv, table = GraphConv(1, 1, 2), Embedding(1, (4, 4), 3)
    for layer in (conv, table):
        initialise(layer, [0])
    assert not torch.equal(conv.weight[0, :1], conv.bias[0])
    assert not torch.equal(*table.table[0].split(4))
