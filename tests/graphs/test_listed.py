"""Graphs that something else has made: sums and means over weighted edges are those by the matrix."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.listed import Listed, ListedLevel
from rethinking.graphs.nodes import Origin
from rethinking.graphs.topology import Topology
from tests.conftest import CPU

# Two replicas with a graph of three clusters and one of two, their edges directed, some of them twice; the last
# cluster of a replica has none.
BATCH = torch.tensor([0, 0, 0, 1, 1])
EDGES = [
    torch.tensor([[0, 0, 1, 2, 1, 3], [1, 2, 0, 2, 0, 3]]),
    torch.tensor([[2, 1, 0, 0], [0, 0, 1, 1]]),
]
WEIGHTS = [torch.tensor([0.5, 2.0, 0.25, 3.0, 1.5, 0.1]), torch.tensor([1.0, 0.5, 4.0, 2.0])]


@pytest.fixture
def made() -> ListedLevel:
    none = np.zeros(11, np.int64), np.empty(0, np.int64)
    topology = Topology(2, 5, np.array([0, 3, 5, 8]), np.array([3, 2, 3, 2]), *none, *none)
    before = SparseLevel(topology, CPU, origin=Origin(np.arange(4)))
    parts = [Listed(5, edges, weight.double(), BATCH, 0) for edges, weight in zip(EDGES, WEIGHTS, strict=True)]
    return ListedLevel(before, parts)


def total(a: Tensor) -> Tensor:
    """The sum of each row, one where that is zero."""
    sums = a.sum(dim=-1, keepdim=True)
    return torch.where(sums == 0, 1, sums)


FORMULAS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "neighbour_sum": lambda a, x: a @ x,
    "incoming_sum": lambda a, x: a.mT @ x,
    "neighbour_mean": lambda a, x: a @ x / total(a),
    "incoming_mean": lambda a, x: a.mT @ x / total(a.mT),
    "mean_with_self": lambda a, x: (x + a @ x) / (1 + a.sum(dim=-1, keepdim=True)),
}


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", FORMULAS)
def test_equals_the_formula(made: ListedLevel, name: str) -> None:
    adjacency, x = matrices(), features()
    result = getattr(made, name)(x)
    assert torch.allclose(result, FORMULAS[name](adjacency, x))
    # Nothing comes to the cluster without edges but what it has itself.
    assert torch.equal(result[:, 4], x[:, 4] if name == "mean_with_self" else torch.zeros(2, 3))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("convolve_incoming", "incoming_sum"),
        ("convolve_outgoing", "neighbour_sum"),
        ("mean_convolve_incoming", "incoming_mean"),
    ],
)
def test_a_convolution_is_of_the_node_and_what_comes_to_it(
    made: ListedLevel, name: str, beside: str, relu: bool
) -> None:
    x, weight, bias = features(), torch.randn(2, 6, 4), torch.randn(2, 1, 4)
    expected = torch.cat([x, FORMULAS[beside](matrices(), x)], dim=-1) @ weight + bias
    assert torch.allclose(getattr(made, name)(x, weight, bias, relu), expected.relu() if relu else expected)


def matrices() -> Tensor:
    """A of all clusters of a replica, [R, N, N], row by source."""
    empty = torch.zeros(5, 5)
    return torch.stack(
        [empty.index_put(tuple(e), w.double(), accumulate=True) for e, w in zip(EDGES, WEIGHTS, strict=True)]
    )


def features() -> Tensor:
    return torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
