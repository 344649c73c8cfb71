"""GraphSAGE's convolution as one operation: compiled and plain alike, forward and backward."""

import torch

from rethinking.graphs import mean_convolve
from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.mean_convolve import mean_convolve_relu, plain_mean_convolve
from rethinking.graphs.segments import segment_mean
from tests.operators import alike, holds, is_sound


def test_the_forms_are_alike(level: SparseLevel) -> None:
    s, width = level._incoming, level.topology.width
    inputs = [torch.randn(3, width, 4), torch.randn(3, 8, 5), torch.randn(3, 1, 5)]
    holds(
        lambda x, weight, bias: mean_convolve_relu(x, weight, bias, s),
        lambda x, weight, bias: plain_mean_convolve(x, weight, bias, s.ptr, s.rows),
        inputs,
    )
    x, weight, bias = (value.double() for value in inputs)
    beside = torch.cat([x, segment_mean(x, s).view_as(x)], dim=-1)
    out = (beside @ weight + bias).relu()
    assert torch.allclose(mean_convolve_relu(x, weight, bias, s), out)
    is_sound("mean_convolve_relu", (x, weight, bias, s.ptr, s.rows))
    for needs_x in (True, False):
        backward = (torch.randn_like(out), x, weight, out, s.ptr, s.rows, s.row_ptr, s.row_segments, needs_x)
        alike(mean_convolve._compiled_backward, mean_convolve.plain_mean_convolve_backward, backward)
        is_sound("mean_convolve_relu_backward", backward)


def test_more_nodes_than_a_block() -> None:
    width = mean_convolve.BLOCK + 3
    generator = torch.Generator().manual_seed(0)
    target, source = (torch.randint(width, (600,), generator=generator) for _ in range(2))
    ptr = torch.cat([torch.zeros(1, dtype=torch.int64), target.bincount(minlength=width).cumsum(0)])
    rows = source[target.argsort(stable=True)]
    x, weight, bias = torch.randn(1, width, 4).double(), torch.randn(1, 8, 5).double(), torch.randn(1, 1, 5).double()
    assert torch.allclose(
        mean_convolve._compiled(x, weight, bias, ptr, rows), plain_mean_convolve(x, weight, bias, ptr, rows)
    )


def test_on_complement_graphs_it_is_the_same_mean(level: SparseLevel) -> None:
    x, weight, bias = torch.randn(3, level.topology.width, 4), torch.randn(3, 8, 5), torch.randn(3, 1, 5)
    others = level.complement
    expected = (torch.cat([x, others.incoming_mean(x)], dim=-1) @ weight + bias).relu()
    assert torch.allclose(others.mean_convolve_incoming_relu(x, weight, bias), expected, atol=1e-5)
