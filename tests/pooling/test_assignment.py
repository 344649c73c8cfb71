"""Soft Selects: rows sum to one, the complement is a Select on other graphs, random ones are drawn as stated."""

from collections.abc import Callable

import pytest
import torch

from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.topology import Topology
from rethinking.layers.initial import InitialDraw, initialise
from rethinking.pooling.assignment import LinearAssignment, OnComplement, SageAssignment
from rethinking.pooling.connect import ProductConnect
from rethinking.pooling.losses import link_loss, mincut_loss
from rethinking.pooling.matching import NeighbourMatching
from rethinking.pooling.pool import Pool
from rethinking.pooling.random_assignment import Bernoulli, Categorical, Normal, RandomAssignment, Uniform
from rethinking.pooling.reduce import SumReduce
from tests.conftest import CPU


def test_a_select_on_the_complement_is_that_select_on_that_graph(topology: Topology) -> None:
    level = SparseLevel(topology, CPU)
    select = OnComplement(3, 4, 12, 5, select=SageAssignment)
    initialise(select, [0, 1, 2])
    x = torch.randn(3, topology.width, 4)
    ours = select(x, level).dense()
    assert torch.equal(ours, select.select(x, level.complement).dense())
    assert not torch.allclose(ours, select.select(x, level).dense())
    # And so do the losses that teach it.
    losses = {"link": link_loss, "cut": mincut_loss}
    pooled = Pool(select, SumReduce(), ProductConnect(), losses=losses)(x, level)
    for name, loss in losses.items():
        assert torch.allclose(pooled.losses[name], loss(pooled.selection, level.complement))
        assert not torch.allclose(pooled.losses[name], loss(pooled.selection, level))


def test_a_matching_on_the_complement_is_refused(level: SparseLevel) -> None:
    select = OnComplement(3, 4, 12, 5, select=NeighbourMatching)
    with pytest.raises(TypeError, match="use ComplementMatching"):
        select(torch.ones(3, level.topology.width, 4), level)


DISTRIBUTIONS: list[tuple[Callable, float, float]] = [
    (Uniform(0.0, 1.0), 0.5, 12**-0.5),
    (Normal(0.0, 1.0), 0.0, 1.0),
    (Bernoulli(0.3), 0.3, 0.21**0.5),
    (Categorical(), 1 / 50, 0.0196**0.5),
]


@pytest.mark.parametrize(("distribution", "mean", "std"), DISTRIBUTIONS)
def test_random_assignments_are_drawn_as_stated_and_stay(distribution: Callable, mean: float, std: float) -> None:
    select = RandomAssignment(2, 4, 100, 50, distribution, invariant=False)
    initialise(select, [0, 1])
    for values in select.random:
        assert float(values.mean()) == pytest.approx(mean, abs=0.06)
        assert float(values.std()) == pytest.approx(std, abs=0.05)
    assert not torch.equal(select.random[0], select.random[1])
    assert list(select.parameters()) == []
    assert "random" in select.state_dict()


@pytest.mark.usefixtures("double")
def test_nothing_is_taught_through_a_random_assignment(level: SparseLevel) -> None:
    """Features are numbers to it that stand in the place of a node's number, not what it learns from."""
    select = RandomAssignment(3, 4, 12, 5, Normal(0.0, 1.0), invariant=True)
    initialise(select, [0, 1, 2])
    x = torch.randn(3, level.topology.width, 4, requires_grad=True)
    assignment = select(x, level).dense()
    assert not assignment.requires_grad
    assert torch.allclose(assignment, (x @ select.random).softmax(dim=-1))


def test_rows_of_every_assignment_sum_to_one_and_random_ones_go_by_position(topology: Topology) -> None:
    level = SparseLevel(topology, CPU)
    x = torch.randn(3, topology.width, 4)
    for select in (
        LinearAssignment(3, 4, 12, 5),
        RandomAssignment(3, 4, 12, 5, Normal(0.0, 1.0), invariant=False),
        RandomAssignment(3, 4, 12, 5, Normal(0.0, 1.0), invariant=True),
    ):
        initialise(select, [0, 1, 2])
        selection = select(x, level)
        assignment = selection.dense()
        assert torch.allclose(selection.row_sums, torch.ones(3, topology.width, 1))
        assert assignment.shape == (3, topology.width, 5)
        assert torch.allclose(assignment.sum(dim=-1), torch.ones(3, topology.width))
    plain = RandomAssignment(3, 4, 12, 5, Normal(0.0, 1.0), invariant=False)
    plain.reset(InitialDraw([0, 1, 2], "pool"))
    graphs = level.per_graph(plain(x, level).dense())
    first, second = level.sizes[0].topk(2).indices
    n = int(level.sizes[0, second])
    assert torch.equal(graphs[0, first, :n], graphs[0, second, :n])
