"""Sums over listed edges: compiled and plain alike, forward and backward, and what PyG's operator gives."""

import pytest
import torch
from torch import Tensor
from torch_geometric.nn import SimpleConv

from rethinking.graphs import edge_sum as module
from rethinking.graphs.edge_sum import edge_sum, plain_edge_sum
from tests.operators import alike, holds, is_sound

NODES, ROWS, FEATURES = 7, 9, 5


@pytest.fixture(params=[1, 40])
def edges(request: pytest.FixtureRequest) -> Tensor:
    """So many of them, in any order, some twice, some from a node to itself."""
    return torch.randint(NODES, (2, request.param))


def test_the_forms_are_alike(edges: Tensor) -> None:
    source, target = edges
    x, weight = torch.randn(NODES, FEATURES), torch.randn(len(source))
    holds(
        lambda x, w: edge_sum(x, source, target, w.flatten(), ROWS),
        lambda x, w: plain_edge_sum(x, source, target, w.flatten(), ROWS),
        [x, weight[:, None]],
    )
    x, weight, grad = x.double(), weight.double(), torch.randn(NODES, FEATURES, dtype=torch.double)
    is_sound("edge_sum", (x, source, target, weight, ROWS))
    backward = (grad, x, source, target)
    alike(module._compiled_along, module.plain_along_edges, backward)
    is_sound("along_edges", backward)


def test_in_single_precision_sums_are_taken_in_the_order_of_edges(edges: Tensor) -> None:
    """So they are torch's to the last bit."""
    source, target = edges
    x, weight = torch.randn(NODES, FEATURES), torch.randn(len(source))
    assert torch.equal(edge_sum(x, source, target, weight), plain_edge_sum(x, source, target, weight, NODES))


def test_without_edges_there_are_zeros() -> None:
    x, weight = torch.randn(NODES, FEATURES, requires_grad=True), torch.randn(0, requires_grad=True)
    out = edge_sum(x, *torch.empty(2, 0, dtype=torch.int64), weight)
    out.sum().backward()
    assert x.grad is not None and weight.grad is not None and weight.grad.shape == (0,)
    assert not out.any() and not x.grad.any()


def test_it_is_what_pyg_gives(edges: Tensor) -> None:
    x, weight = torch.randn(NODES, FEATURES), torch.randn(edges.shape[1])
    assert torch.allclose(edge_sum(x, *edges, weight), SimpleConv()(x, edges, weight), atol=1e-5)


@pytest.mark.parametrize("weight", [torch.ones(2), torch.ones(3, 1), torch.ones(4)])
def test_there_is_a_weight_for_each_edge(weight: Tensor) -> None:
    """The loop would read what lies beyond."""
    edges = torch.tensor([0, 1, 2])
    with pytest.raises(ValueError, match="expected as many of each"):
        edge_sum(torch.ones(3, 2), edges, edges, weight)
