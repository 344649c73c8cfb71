"""c x + the sum over a row's segment, c one number a replica: what GIN sees of a node, as one operator of torch's.

A compiled loop on the CPU, on any other device the plain torch form beside it, which the tests hold it against.
"""

from typing import Any

import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.gather import sum_rows
from rethinking.graphs.segments import Segments, plain_sum
from rethinking.operators import define


def sum_with_own(x: Tensor, own: Tensor, segments: Segments) -> Tensor:
    """own · x + sums. x: [R, N, F]. own: [R, 1, 1]. Returns [R, N, F].

    segments: one for each of the R·N rows, which hold rows of the same replica.
    """
    return _SumWithOwn.apply(x, own, segments)


class _SumWithOwn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, own: Tensor, segments: Segments) -> Tensor:
        ctx.save_for_backward(x, own)
        ctx.segments = segments
        return _operator(x, own, segments.ptr, segments.rows)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:
        x, own = ctx.saved_tensors
        s, needs_x = ctx.segments, ctx.needs_input_grad[0]
        grad_x, grad_own = _backward_operator(grad, x, own, s.row_ptr, s.row_segments, needs_x)
        return grad_x if needs_x else None, grad_own, None


def plain_own_sum(x: Tensor, own: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    """`sum_with_own` in plain torch, for any device."""
    return own * x + plain_sum(x, ptr, rows).view_as(x)


def plain_own_sum_backward(
    grad: Tensor, x: Tensor, own: Tensor, row_ptr: Tensor, row_segments: Tensor, needs_x: bool
) -> tuple[Tensor, Tensor]:
    """The gradients of x and own in plain torch; that of x is empty unless it is needed."""
    grad_own = (grad * x).sum(dim=(1, 2), keepdim=True)
    if not needs_x:
        return x.new_empty(len(x), 0, x.shape[2]), grad_own
    return plain_own_sum(grad, own, row_ptr, row_segments), grad_own


def _compiled(x: Tensor, own: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    out = x.new_empty(x.shape)
    _own_sum(*(tensor.contiguous().numpy() for tensor in (x, own, ptr, rows, out)))
    return out


def _compiled_backward(
    grad: Tensor, x: Tensor, own: Tensor, row_ptr: Tensor, row_segments: Tensor, needs_x: bool
) -> tuple[Tensor, Tensor]:
    grad_own = own.new_empty(own.shape)
    _along(*(tensor.contiguous().numpy() for tensor in (grad, x, grad_own)))
    if not needs_x:
        return x.new_empty(len(x), 0, x.shape[2]), grad_own
    return _compiled(grad, own, row_ptr, row_segments), grad_own


@njit(cache=True, nogil=True)
def _own_sum(x, own, ptr, rows, out):
    replicas, width, features = x.shape
    for r in range(replicas):
        first, scale = r * width, own[r, 0, 0]
        values, totals = x[r], out[r]
        for i in range(width):
            row, total = values[i], totals[i]
            sum_rows(values, rows, first, ptr[first + i], ptr[first + i + 1], total)
            for f in range(features):
                total[f] += scale * row[f]


# Sums may be taken in another order, so that they are vectorised.
@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _along(grad, x, grad_own):
    for r in range(len(x)):
        total = 0.0
        for i in range(x.shape[1]):
            row, given, along = x[r, i], grad[r, i], x.dtype.type(0)
            for f in range(len(row)):
                along += row[f] * given[f]
            total += along
        grad_own[r, 0, 0] = total


_operator = define(
    "sum_with_own(Tensor x, Tensor own, Tensor ptr, Tensor rows) -> Tensor",
    _compiled,
    plain_own_sum,
    lambda x, *others: torch.empty_like(x),
)
_backward_operator = define(
    "sum_with_own_backward(Tensor grad, Tensor x, Tensor own, Tensor row_ptr, Tensor row_segments, bool needs_x)"
    " -> (Tensor, Tensor)",
    _compiled_backward,
    plain_own_sum_backward,
    lambda grad, x, own, row_ptr, row_segments, needs_x: (
        x.new_empty(x.shape[0], x.shape[1] if needs_x else 0, x.shape[2]),
        torch.empty_like(own),
    ),
)
