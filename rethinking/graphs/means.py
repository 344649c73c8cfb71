"""Means over a node's neighbours, with the node or without it, where neighbours are rows of segments.

An operator of torch's (`rethinking/operators.py`): compiled loops on the CPU, on any other device the plain torch form
beside it, which the tests hold it against. For graphs of clusters see `dense_means`.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.gather import sum_rows
from rethinking.graphs.segments import Segments, flat_rows, plain_sum
from rethinking.operators import define


def neighbour_mean(x: Tensor, segments: Segments, own: bool) -> Tensor:
    """The mean over the rows of each segment, zero for one without rows; as many segments as rows.

    own: over each row and its segment. x: [R, N, F] with R·N rows. Returns [R, N, F].
    """
    return _NeighbourMean.apply(x, segments, own)


class _NeighbourMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, segments: Segments, own: bool) -> Tensor:
        ctx.segments, ctx.own = segments, own
        return _operator(x, segments.ptr, segments.rows, own)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        s = ctx.segments
        return _backward_operator(grad, s.ptr, s.row_ptr, s.row_segments, ctx.own), None, None


def plain_mean(x: Tensor, ptr: Tensor, rows: Tensor, own: bool) -> Tensor:
    """`neighbour_mean` in plain torch."""
    sums = plain_sum(x, ptr, rows).view_as(x)
    return (sums + x if own else sums) * _shares(x, ptr, own)


def plain_mean_backward(grad: Tensor, ptr: Tensor, row_ptr: Tensor, row_segments: Tensor, own: bool) -> Tensor:
    """The gradient of `neighbour_mean` in plain torch."""
    shares = grad * _shares(grad, ptr, own)
    sums = plain_sum(shares, row_ptr, row_segments).view_as(grad)
    return sums + shares if own else sums


def _shares(x: Tensor, ptr: Tensor, own: bool) -> Tensor:
    """The weight of each summand in the mean of a row, as x with one column."""
    return ((ptr.diff() + own).clamp(min=1).to(x.dtype).reciprocal()).view(*x.shape[:-1], 1)


def _compiled(x: Tensor, ptr: Tensor, rows: Tensor, own: bool) -> Tensor:
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    _mean(flat_rows(x), ptr.numpy(), rows.numpy(), own, flat_rows(out))
    return out


def _compiled_backward(grad: Tensor, ptr: Tensor, row_ptr: Tensor, row_segments: Tensor, own: bool) -> Tensor:
    grad_x = torch.empty_like(grad, memory_format=torch.contiguous_format)
    arrays = (tensor.numpy() for tensor in (ptr, row_ptr, row_segments))
    _mean_backward(flat_rows(grad), *arrays, own, flat_rows(grad_x))  # type: ignore[call-arg]
    return grad_x


# In all loops a row is taken out first, and a loop has one statement: the compiler vectorises these.
@njit(cache=True, nogil=True, error_model="numpy")
def _mean(x, ptr, rows, own, out):
    width = x.shape[1]
    number = x.dtype.type
    for row in range(x.shape[0]):
        first, last = ptr[row], ptr[row + 1]
        total, itself = out[row], x[row]
        share = number(1) / number(max(last - first + own, 1))
        sum_rows(x, rows, 0, first, last, total)
        for f in range(width):
            total[f] = share * (total[f] + itself[f] if own else total[f])


@njit(cache=True, nogil=True, error_model="numpy")
def _mean_backward(grad, ptr, row_ptr, row_segments, own, grad_x):
    width = grad.shape[1]
    number = grad.dtype.type
    shares = np.empty(len(grad), grad.dtype)
    for row in range(len(grad)):
        shares[row] = number(1) / number(max(ptr[row + 1] - ptr[row] + own, 1))
    for row in range(len(grad)):
        total, given, share = grad_x[row], grad[row], shares[row]
        for f in range(width):
            total[f] = share * given[f] if own else number(0)
        for entry in range(row_ptr[row], row_ptr[row + 1]):
            other, share = grad[row_segments[entry]], shares[row_segments[entry]]
            for f in range(width):
                total[f] += share * other[f]


_operator = define(
    "neighbour_mean(Tensor x, Tensor ptr, Tensor rows, bool own) -> Tensor",
    _compiled,
    plain_mean,
    lambda x, *others: torch.empty_like(x),
)
_backward_operator = define(
    "neighbour_mean_backward(Tensor grad, Tensor ptr, Tensor row_ptr, Tensor row_segments, bool own) -> Tensor",
    _compiled_backward,
    plain_mean_backward,
    lambda grad, *others: torch.empty_like(grad),
)
