"""The convolution as one operation: compiled and plain alike, forward and backward, with and without ReLU."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rethinking.graphs import convolve as convolving
from rethinking.graphs.convolve import convolve, plain_convolve
from rethinking.graphs.levels import SparseLevel
from tests.operators import alike, holds, is_sound


@pytest.mark.parametrize("relu", [False, True])
def test_the_forms_are_alike(level: SparseLevel, relu: bool) -> None:
    segments, width = level._incoming, level.topology.width
    inputs = [torch.randn(3, width, 4), torch.randn(3, 8, 5), torch.randn(3, 1, 5)]
    arrays = (segments.ptr, segments.rows, level.node_count)
    holds(
        lambda x, weight, bias: convolve(x, weight, bias, segments, level.node_count, relu),
        lambda x, weight, bias: plain_convolve(x, weight, bias, *arrays, relu),
        inputs,
    )
    x, weight, bias = (value.double() for value in inputs)
    out = plain_convolve(x, weight, bias, *arrays, relu)
    backward = (torch.randn_like(out), x, weight, out if relu else None, *arrays)
    for needs_x in (True, False):
        alike(convolving._compiled_backward, convolving.plain_convolve_backward, (*backward, needs_x))
        is_sound("convolve_backward", (*backward, needs_x))
    is_sound("convolve", (x, weight, bias, *arrays, relu))


@pytest.mark.parametrize("form", [convolving._compiled, plain_convolve])
def test_what_is_no_number_passes_relu_and_stays_out_of_padding(
    level: SparseLevel, form: Callable[..., Tensor]
) -> None:
    segments = level._incoming
    x = torch.full((3, level.topology.width, 2), torch.nan)
    weight, bias = torch.randn(3, 4, 3), torch.randn(3, 1, 3)
    out = form(x, weight, bias, segments.ptr, segments.rows, level.node_count, True)
    assert torch.equal(out.isnan(), level.present.expand_as(out))
    assert (out[~level.present.expand_as(out)] == 0).all()
