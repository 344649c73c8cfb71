"""The convolution as one operation: compiled and plain alike, forward and backward, with and without ReLU."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rethinking.graphs import convolve as convolving
from rethinking.graphs.convolve import convolve, plain_convolve
from rethinking.graphs.levels import SparseLevel
from tests.operators import alike, holds, is_sound


@pytest.mark.parametrize(("relu", "mean"), [(False, False), (True, False), (True, True)])
def test_the_forms_are_alike(level: SparseLevel, relu: bool, mean: bool) -> None:
    segments, width = level._incoming, level.topology.width
    inputs = [torch.randn(3, width, 4), torch.randn(3, 8, 5), torch.randn(3, 1, 5)]
    arrays = (segments.ptr, segments.rows, level.node_count)
    holds(
        lambda x, weight, bias: convolve(x, weight, bias, segments, level.node_count, relu, mean),
        lambda x, weight, bias: plain_convolve(x, weight, bias, *arrays, relu, mean),
        inputs,
    )
    x, weight, bias = (value.double() for value in inputs)
    out = plain_convolve(x, weight, bias, *arrays, relu, mean)
    backward = (torch.randn_like(out), x, weight, out if relu else None, *arrays, mean)
    for needs_x in (True, False):
        alike(convolving._compiled_backward, convolving.plain_convolve_backward, (*backward, needs_x))
        is_sound("convolve_backward", (*backward, needs_x))
    is_sound("convolve", (x, weight, bias, *arrays, relu, mean))


def test_means_are_those_of_the_level(level: SparseLevel) -> None:
    x, weight, bias = torch.randn(3, level.topology.width, 4), torch.randn(3, 8, 5), torch.randn(3, 1, 5)
    for graphs in (level, level.complement):
        expected = torch.cat([x, graphs.incoming_mean(x)], dim=-1) @ weight + bias
        for relu, wanted in ((False, expected), (True, expected.relu())):
            result = graphs.mean_convolve_incoming(x, weight, bias, relu)
            assert torch.allclose(result * level.present, wanted * level.present, atol=1e-5)


def test_more_nodes_than_a_block() -> None:
    width = 2 * convolving.BLOCK + 3
    generator = torch.Generator().manual_seed(0)
    target, source = (torch.randint(width, (1200,), generator=generator) for _ in range(2))
    ptr = torch.cat([torch.zeros(1, dtype=torch.int64), target.bincount(minlength=width).cumsum(0)])
    rows, nodes = source[target.argsort(stable=True)], torch.tensor([width])
    x, weight, bias = torch.randn(1, width, 4).double(), torch.randn(1, 8, 5).double(), torch.randn(1, 1, 5).double()
    arrays = (ptr, rows, nodes)
    out = plain_convolve(x, weight, bias, *arrays, True, False)
    assert torch.allclose(convolving._compiled(x, weight, bias, *arrays, True, False), out)
    backward = (torch.randn_like(out), x, weight, out, *arrays, False, True)
    alike(convolving._compiled_backward, convolving.plain_convolve_backward, backward)


@pytest.mark.parametrize("form", [convolving._compiled, plain_convolve])
def test_what_is_no_number_passes_relu_and_stays_out_of_padding(
    level: SparseLevel, form: Callable[..., Tensor]
) -> None:
    segments = level._incoming
    x = torch.full((3, level.topology.width, 2), torch.nan)
    weight, bias = torch.randn(3, 4, 3), torch.randn(3, 1, 3)
    out = form(x, weight, bias, segments.ptr, segments.rows, level.node_count, True, False)
    assert torch.equal(out.isnan(), level.present.expand_as(out))
    assert (out[~level.present.expand_as(out)] == 0).all()
