"""Sums, means and maxima over segments of rows: a node's neighbours, a cluster's nodes, a graph's nodes.

Every operation takes node features and `Segments`, and is an operator of torch's (`rethinking/operators.py`): a
compiled loop on the CPU, and on any other device the plain torch form beside it, which the tests hold it against.
"""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.gather import sum_rows
from rethinking.operators import define


@dataclass(frozen=True)
class Segments:
    """Which of n rows each of S segments is made of; a row may be in several, or in none.

    ptr, rows: int64 [S+1], [M]; segment s has the rows `rows[ptr[s]:ptr[s+1]]`. Entries from `ptr[S]` on are of none.
    row_ptr, row_segments: int64 [n+1], [M], the transpose: row i is in the segments `row_segments[row_ptr[i]:…]`.
    """

    ptr: Tensor
    rows: Tensor
    row_ptr: Tensor
    row_segments: Tensor

    @cached_property
    def transposed(self) -> "Segments":
        """Rows and segments the other way round."""
        return Segments(self.row_ptr, self.row_segments, self.ptr, self.rows)

    @cached_property
    def count(self) -> Tensor:
        """How many rows each segment has. Returns int64 [S, 1]."""
        return self.ptr.diff()[:, None]

    @cached_property
    def divisor(self) -> Tensor:
        """By what a mean divides: the count, or one for a segment without rows. Returns int64 [S, 1]."""
        return self.count.clamp(min=1)


def segment_sum(x: Tensor, segments: Segments) -> Tensor:
    """The sum over each segment, zero for one without rows. x: [n, F] or [R, N, F] with R·N = n. Returns [S, F]."""
    return _SegmentSum.apply(x, segments)


def segment_mean(x: Tensor, segments: Segments) -> Tensor:
    """The mean over each segment, zero for one without rows. x: [n, F] or [R, N, F]. Returns [S, F]."""
    return _SegmentMean.apply(x, segments)


def segment_max(x: Tensor, segments: Segments) -> Tensor:
    """The maximum over each segment, zero for one without rows. x: [n, F] or [R, N, F]. Returns [S, F].

    Where several rows hold the maximum the gradient is shared equally among them, as in PyG.
    """
    return _SegmentMax.apply(x, segments)


class _SegmentSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, segments: Segments) -> Tensor:
        ctx.segments, ctx.shape = segments, x.shape
        return _sum_operator(x, segments.ptr, segments.rows)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return segment_sum(grad, ctx.segments.transposed).view(ctx.shape), None


class _SegmentMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, segments: Segments) -> Tensor:
        ctx.segments, ctx.shape = segments, x.shape
        return _sum_operator(x, segments.ptr, segments.rows).div_(segments.divisor)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return segment_sum(grad / ctx.segments.divisor, ctx.segments.transposed).view(ctx.shape), None


class _SegmentMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, segments: Segments) -> Tensor:
        out = _max_operator(x, segments.ptr, segments.rows)
        ctx.segments = segments
        ctx.save_for_backward(x, out)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        s = ctx.segments
        return _max_backward_operator(grad, *ctx.saved_tensors, s.ptr, s.rows, s.row_ptr), None


# No plain form asks the device how large something is: one segment more takes the entries that are of none.


def plain_sum(x: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    """`segment_sum` in plain torch, for any device."""
    values = x.flatten(0, -2).index_select(0, rows)
    return x.new_zeros(len(ptr), x.shape[-1]).index_add(0, segment_of(ptr, rows), values)[:-1]


def plain_max(x: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    """`segment_max` in plain torch, for any device."""
    values = x.flatten(0, -2).index_select(0, rows)
    # Not from zero: a maximum of zero would then share its gradient with the start value.
    out = x.new_full((len(ptr), x.shape[-1]), -torch.inf)
    number = segment_of(ptr, rows)[:, None].expand_as(values)
    out = out.scatter_reduce(0, number, values, "amax", include_self=False)[:-1]
    return out.masked_fill(ptr.diff()[:, None] == 0, 0)


def plain_max_backward(grad: Tensor, x: Tensor, out: Tensor, ptr: Tensor, rows: Tensor, row_ptr: Tensor) -> Tensor:
    """The gradient of `segment_max` in plain torch."""
    segment = segment_of(ptr, rows)
    flat, none = x.flatten(0, -2), x.new_zeros(1, x.shape[-1])
    holds = (flat.index_select(0, rows) == torch.cat([out, none]).index_select(0, segment)).to(x.dtype)
    holders = x.new_zeros(len(ptr), x.shape[-1]).index_add(0, segment, holds).clamp(min=1)
    shares = holds * (torch.cat([grad, none]) / holders).index_select(0, segment)
    return torch.zeros_like(flat).index_add(0, rows, shares).view(x.shape)


def present_rows(x: Tensor, nodes: Tensor) -> Tensor:
    """Whether each row is a node and not padding. x: [R, N, F]. nodes: how many are, [R]. Returns bool [R, N, 1]."""
    return (torch.arange(x.shape[1], device=x.device) < nodes[:, None])[..., None]


def segment_of(ptr: Tensor, rows: Tensor) -> Tensor:
    """The segment of each entry of `rows`; their number for an entry that is of none."""
    return torch.searchsorted(ptr[1:], torch.arange(len(rows), device=ptr.device), right=True)


def _compiled_sum(x: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    out = x.new_empty(len(ptr) - 1, x.shape[-1])
    _sum(flat_rows(x), ptr.numpy(), rows.numpy(), out.numpy())
    return out


def _compiled_max(x: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    out = x.new_empty(len(ptr) - 1, x.shape[-1])
    _max(flat_rows(x), ptr.numpy(), rows.numpy(), out.numpy())
    return out


def _compiled_max_backward(grad: Tensor, x: Tensor, out: Tensor, ptr: Tensor, rows: Tensor, row_ptr: Tensor) -> Tensor:
    grad_x = torch.empty_like(x, memory_format=torch.contiguous_format)
    arrays = [flat_rows(tensor) for tensor in (grad, x, out)] + [tensor.numpy() for tensor in (ptr, rows, row_ptr)]
    _max_backward(*arrays, flat_rows(grad_x))  # type: ignore[call-arg]
    return grad_x


def flat_rows(x: Tensor) -> np.ndarray:
    """[…, F] as an array [n, F]; without a copy where it lies in one piece."""
    return x.contiguous().view(prod(x.shape[:-1]), x.shape[-1]).numpy()


# In all loops a row is taken out first, and a loop has one statement: the compiler vectorises these.
@njit(cache=True, nogil=True)
def _sum(x, ptr, rows, out):
    for segment in range(len(ptr) - 1):
        sum_rows(x, rows, 0, ptr[segment], ptr[segment + 1], out[segment])


@njit(cache=True, nogil=True)
def _max(x, ptr, rows, out):
    width = x.shape[1]
    for segment in range(len(ptr) - 1):
        first, last, top = ptr[segment], ptr[segment + 1], out[segment]
        if first == last:
            for f in range(width):
                top[f] = 0
            continue
        row = x[rows[first]]
        for f in range(width):
            top[f] = row[f]
        for entry in range(first + 1, last):
            row = x[rows[entry]]
            for f in range(width):
                # One that is not a number stays, as torch has it.
                top[f] = top[f] if row[f] <= top[f] or top[f] != top[f] else row[f]


@njit(cache=True, nogil=True, error_model="numpy")
def _max_backward(grad, x, out, ptr, rows, row_ptr, grad_x):
    width = x.shape[1]
    share, one = np.empty(width, x.dtype), x.dtype.type(1)
    # A row of one segment is written once; others add up.
    for row in range(x.shape[0]):
        if row_ptr[row + 1] - row_ptr[row] != 1:
            grad_x[row] = 0
    for segment in range(len(ptr) - 1):
        first, last, top, given = ptr[segment], ptr[segment + 1], out[segment], grad[segment]
        share[:] = 0
        for entry in range(first, last):
            row = x[rows[entry]]
            for f in range(width):
                share[f] += row[f] == top[f]
        for f in range(width):
            share[f] = given[f] / max(share[f], one)
        for entry in range(first, last):
            number = rows[entry]
            row, on_row = x[number], grad_x[number]
            if row_ptr[number + 1] - row_ptr[number] == 1:
                for f in range(width):
                    on_row[f] = (row[f] == top[f]) * share[f]
            else:
                for f in range(width):
                    on_row[f] += (row[f] == top[f]) * share[f]


def _a_row_a_segment(x: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    return x.new_empty(ptr.shape[0] - 1, x.shape[-1])


_sum_operator = define(
    "segment_sum(Tensor x, Tensor ptr, Tensor rows) -> Tensor", _compiled_sum, plain_sum, _a_row_a_segment
)
_max_operator = define(
    "segment_max(Tensor x, Tensor ptr, Tensor rows) -> Tensor", _compiled_max, plain_max, _a_row_a_segment
)
_max_backward_operator = define(
    "segment_max_backward(Tensor grad, Tensor x, Tensor out, Tensor ptr, Tensor rows, Tensor row_ptr) -> Tensor",
    _compiled_max_backward,
    plain_max_backward,
    lambda grad, x, *others: torch.empty_like(x),
)
