"""The convolution of dense levels: compiled and plain alike, forward and backward."""

import torch

from rethinking.graphs import dense_convolve as convolving
from rethinking.graphs.dense_convolve import dense_convolve, plain_convolve
from rethinking.graphs.levels import DenseLevel
from tests.operators import alike, holds, is_sound


def test_the_forms_are_alike() -> None:
    inputs = [torch.randn(2, 12, 3), torch.rand(2, 3, 4, 4), torch.randn(2, 6, 5), torch.randn(2, 1, 5)]
    holds(dense_convolve, plain_convolve, inputs)
    x, adjacency, weight, bias = (value.double() for value in inputs)
    out, sums = plain_convolve(x, adjacency, weight, bias)
    for needs_adjacency in (True, False):
        backward = (torch.randn_like(out), x, adjacency, weight, sums, needs_adjacency)
        alike(convolving._compiled_backward, convolving.plain_convolve_backward, backward)
        is_sound("dense_convolve_backward", backward)
    is_sound("dense_convolve", (x, adjacency, weight, bias))


def test_both_directions() -> None:
    """Over those a node points to, and over those that point to it."""
    x, adjacency = torch.randn(2, 12, 3), torch.rand(2, 3, 4, 4)
    weight, bias = torch.randn(2, 6, 5), torch.randn(2, 1, 5)
    level = DenseLevel(adjacency)
    for convolve, beside in (
        (level.convolve_outgoing, torch.cat([x, level.neighbour_sum(x)], dim=-1)),
        (level.convolve_incoming, torch.cat([x, level.incoming_sum(x)], dim=-1)),
    ):
        expected = beside @ weight + bias
        assert torch.allclose(convolve(x, weight, bias, relu=False), expected, atol=1e-5)
        assert torch.allclose(convolve(x, weight, bias, relu=True), expected.relu(), atol=1e-5)
