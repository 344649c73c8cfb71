"""Sums, means and maxima over segments: compiled and plain alike, forward and backward, and equal to PyG's."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.utils import scatter

from rethinking.graphs.segments import (
    Segments,
    plain_max,
    plain_max_backward,
    plain_sum,
    segment_max,
    segment_mean,
    segment_sum,
)

ROWS, COUNT = 40, 25


def random_segments(seed: int = 0, rows: int = ROWS, count: int = COUNT) -> tuple[Segments, Tensor]:
    """Overlapping segments, some empty, and for each entry its segment."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 6, count)
    sizes[[3, count - 1]] = 0
    row = rng.integers(0, rows, sizes.sum())
    segment = np.repeat(np.arange(count), sizes)
    order = np.lexsort((segment, row))
    ptr, row_ptr = (np.concatenate([[0], np.cumsum(np.bincount(n, minlength=size))])
                    for n, size in ((segment, count), (row, rows)))  # fmt: skip
    arrays = map(torch.from_numpy, (ptr, row, row_ptr, segment[order]))
    return Segments(*arrays), torch.from_numpy(segment)


def gradient(y: Tensor, x: Tensor) -> Tensor:
    weight = torch.arange(y.numel(), dtype=y.dtype).sin().view_as(y)
    return torch.autograd.grad((y * weight).sum(), x)[0]


@pytest.mark.parametrize(("ours", "reduce"), [(segment_sum, "sum"), (segment_mean, "mean"), (segment_max, "max")])
def test_equals_pygs_scatter(ours: Callable[[Tensor, Segments], Tensor], reduce: str) -> None:
    segments, number = random_segments()
    # Few distinct values, so that several rows of a segment often hold the maximum; none is zero, where PyG's scatter
    # would let the zero that it begins with have a share of the gradient.
    x = torch.randint(1, 4, (ROWS, 4)).double().requires_grad_()
    expected = scatter(x.index_select(0, segments.rows), number, dim=0, dim_size=COUNT, reduce=reduce)
    assert torch.allclose(ours(x, segments), expected)
    assert torch.allclose(gradient(ours(x, segments), x), gradient(expected, x))


@pytest.mark.parametrize(
    ("ours", "plain"),
    [
        (segment_sum, plain_sum),
        (segment_max, plain_max),
    ],
)
def test_the_compiled_forms_equal_the_plain_ones(
    ours: Callable[[Tensor, Segments], Tensor], plain: Callable[..., Tensor]
) -> None:
    """Whose derivative is torch's own."""
    segments, _ = random_segments(rows=COUNT)
    x = torch.randn(COUNT, 3, dtype=torch.double, requires_grad=True)
    expected = plain(x, segments.ptr, segments.rows)
    assert torch.allclose(ours(x, segments), expected)
    assert torch.allclose(gradient(ours(x, segments), x), gradient(expected, x))


def test_the_plain_gradients_equal_torchs() -> None:
    """What other devices run backward, run on the CPU."""
    segments, _ = random_segments(rows=COUNT)
    arrays = (segments.ptr, segments.rows)
    x = torch.randint(0, 3, (COUNT, 3)).double().requires_grad_()
    grad = torch.randn(COUNT, 3, dtype=torch.double)
    out = segment_max(x, segments)
    (expected,) = torch.autograd.grad(plain_max(x, *arrays), x, grad)
    assert torch.allclose(plain_max_backward(grad, x.detach(), out.detach(), *arrays, segments.row_ptr), expected)


def test_every_operator_is_one_of_torchs() -> None:
    """Its schema and what comes out by shape alone: torch's own check of custom operators."""
    segments, _ = random_segments(rows=COUNT)
    x, checks = torch.randn(COUNT, 3), ("test_schema", "test_faketensor")
    for name in ("segment_sum", "segment_max"):
        operator = getattr(torch.ops.rethinking, name).default
        torch.library.opcheck(operator, (x, segments.ptr, segments.rows), test_utils=checks)
    out = torch.ops.rethinking.segment_max(x, segments.ptr, segments.rows)
    arguments = (torch.randn(COUNT, 3), x, out, segments.ptr, segments.rows, segments.row_ptr)
    torch.library.opcheck(torch.ops.rethinking.segment_max_backward.default, arguments, test_utils=checks)


def test_gradients_are_those_of_the_operations() -> None:
    segments, _ = random_segments(rows=COUNT)
    x = torch.randn(COUNT, 3, dtype=torch.double, requires_grad=True)
    for ours in (segment_sum, segment_mean, segment_max):
        assert torch.autograd.gradcheck(lambda x, ours=ours: ours(x, segments), x)


def test_rows_that_are_not_contiguous() -> None:
    segments, _ = random_segments()
    x = torch.randn(4, ROWS, dtype=torch.double).T
    assert torch.equal(segment_sum(x, segments), segment_sum(x.contiguous(), segments))


def test_a_maximum_over_what_is_no_number_is_none() -> None:
    """Wherever it stands, as in torch: a network that diverges must not look sound."""
    two = Segments(*map(torch.tensor, ([0, 2], [0, 1], [0, 1, 2], [0, 0])))
    for values in ([[1.0], [torch.nan]], [[torch.nan], [1.0]]):
        assert segment_max(torch.tensor(values), two).isnan().all()
