"""Means over neighbours, on sparse graphs and on graphs of clusters: compiled and plain alike, forward and backward."""

import pytest
import torch

from rethinking.graphs import dense_means, means
from rethinking.graphs.dense_means import dense_mean, plain_dense_mean
from rethinking.graphs.levels import DenseLevel, SparseLevel
from rethinking.graphs.means import neighbour_mean, plain_mean
from tests.operators import alike, holds, is_sound


@pytest.mark.parametrize("own", [False, True])
def test_the_forms_over_edges_are_alike(level: SparseLevel, own: bool) -> None:
    segments = level._outgoing
    x = torch.randn(3, level.topology.width, 4)
    holds(
        lambda x: neighbour_mean(x, segments, own), lambda x: plain_mean(x, segments.ptr, segments.rows, own), [x]
    )  # fmt: skip
    grad = torch.randn_like(x.double())
    backward = (grad, segments.ptr, segments.row_ptr, segments.row_segments, own)
    alike(means._compiled_backward, means.plain_mean_backward, backward)
    is_sound("neighbour_mean", (x, segments.ptr, segments.rows, own))
    is_sound("neighbour_mean_backward", backward)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_the_forms_over_weights_are_alike(own: bool, scale: float) -> None:
    """Directed, with weights on the diagonal; and where the sums of rows are below one, by which nothing is divided."""
    adjacency, x = scale * torch.rand(2, 3, 5, 5), torch.randn(2, 15, 4)
    adjacency[0, 0] = 0
    holds(lambda a, x: dense_mean(a, x, own), lambda a, x: plain_dense_mean(a, x, own), [adjacency, x])
    adjacency, x = adjacency.double(), x.double()
    out, degree = plain_dense_mean(adjacency, x, own)
    for needs_adjacency in (True, False):
        backward = (torch.randn_like(out), adjacency, x, out, degree, own, needs_adjacency)
        alike(dense_means._compiled_backward, dense_means.plain_dense_mean_backward, backward)
        is_sound("dense_mean_backward", backward)
    is_sound("dense_mean", (adjacency, x, own))


@pytest.mark.parametrize("name", ["neighbour_mean", "mean_with_self"])
def test_graphs_without_weights_are_the_same_either_way(level: SparseLevel, name: str) -> None:
    x = torch.randn(3, level.topology.width, 4)
    dense = getattr(DenseLevel(level.adjacency), name)(level.per_graph(x).flatten(1, 2))
    ours = level.per_graph(getattr(level, name)(x))
    assert torch.allclose(ours.flatten(1, 2), dense * level.per_graph(level.present.float()).flatten(1, 2), atol=1e-6)


def test_one_graph_of_one_node() -> None:
    """Whose mean without itself is zero, and with itself its own."""
    x = torch.randn(1, 1, 3)
    dense = DenseLevel(torch.zeros(1, 1, 1, 1))
    assert torch.equal(dense.mean_with_self(x), x)
    assert not dense.neighbour_mean(x).any()
