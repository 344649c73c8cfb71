"""The convolution as one operation: compiled and plain alike, forward and backward, with and without ReLU."""

import pytest
import torch

from rethinking.graphs import convolve as convolving
from rethinking.graphs.convolve import convolve, plain_convolve
from rethinking.graphs.levels import SparseLevel
from tests.operators import alike, holds, is_sound


@pytest.mark.parametrize("relu", [False, True])
def test_the_forms_are_alike(level: SparseLevel, relu: bool) -> None:
    segments, width = level._incoming, level.topology.width
    inputs = [torch.randn(3, width, 4), torch.randn(3, 8, 5), torch.randn(3, 1, 5)]
    arrays = (segments.ptr, segments.rows)
    holds(
        lambda x, weight, bias: convolve(x, weight, bias, segments, relu),
        lambda x, weight, bias: plain_convolve(x, weight, bias, *arrays, relu),
        inputs,
    )
    x, weight, bias = (value.double() for value in inputs)
    out, beside = plain_convolve(x, weight, bias, *arrays, relu)
    backward = (torch.randn_like(out), weight, beside, out if relu else None, segments.row_ptr, segments.row_segments)
    for needs_x in (True, False):
        alike(convolving._compiled_backward, convolving.plain_convolve_backward, (*backward, needs_x))
        is_sound("convolve_backward", (*backward, needs_x))
    is_sound("convolve", (x, weight, bias, *arrays, relu))


def test_what_is_no_number_passes_relu(level: SparseLevel) -> None:
    x = torch.full((3, level.topology.width, 2), torch.nan)
    out = convolve(x, torch.randn(3, 4, 3), torch.randn(3, 1, 3), level._incoming, relu=True)
    assert out.isnan().all()
