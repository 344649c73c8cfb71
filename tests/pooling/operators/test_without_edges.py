"""What an operator of Grattarola et al. 2022 gives without edges is what it gives with them."""

from dataclasses import replace

import pytest
import torch

from rethinking.pooling.operators.interface import Graphs
from tests.pooling.operators.test_src import OPERATORS, made, matrix, one, three_graphs, together, weighted

pytestmark = pytest.mark.usefixtures("double")
# None: one that is directed, which NDP refuses.
CASES = [(name, count) for name in OPERATORS for count in (1, 3)]
DIRECTED = [(name, None) for name in OPERATORS if name != "ndp"]


@pytest.mark.parametrize(("name", "count"), CASES)
def test_clusters_are_had_without_their_edges(name: str, count: int) -> None:
    graphs = together(*three_graphs()[:count])
    operator = made(name)
    whole, alone = operator(graphs), operator.without_edges(graphs)
    assert torch.equal(alone.x, whole.graphs.x)
    assert alone.assignment is not None and whole.assignment is not None
    assert torch.equal(alone.assignment.dense(), whole.assignment.dense())
    assert alone.losses == whole.losses


def directed() -> Graphs:
    """No edge has a reverse of its weight."""
    graph = one(weighted(12, 0))
    return replace(graph, edge_weight=graph.weights * torch.rand(len(graph.weights)))


@pytest.mark.parametrize(("name", "count"), [*CASES, *DIRECTED])
def test_a_clusters_neighbours_are_known_without_edges(name: str, count: int | None) -> None:
    """Their sums are those over the edges, and so are the gradients."""
    graphs = together(*three_graphs()[:count]) if count else directed()
    operator = made(name)
    whole, alone = operator(graphs), operator.without_edges(graphs)
    y = torch.randn(len(alone.x), 3, requires_grad=True)
    by_edges, without = matrix(whole.graphs) @ y, alone.neighbours(y)
    assert torch.allclose(without, by_edges)
    towards, onto = torch.randn_like(y), [y, *operator.parameters()]
    grads = (torch.autograd.grad(sums, onto, towards, allow_unused=True) for sums in (by_edges, without))
    for grad, other in zip(*grads, strict=True):
        assert (grad is None) == (other is None)
        assert grad is None or torch.allclose(grad, other)
