"""Sums over the rest of a graph: all its nodes but a node's neighbours, which are its neighbours in the complement.

An operator of torch's (`rethinking/operators.py`): compiled loops on the CPU, on any other device the plain torch form
beside it, which the tests hold it against.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.segments import Segments, flat_rows, plain_sum
from rethinking.operators import define


def rest_sum(x: Tensor, segments: Segments, start: Tensor, size: Tensor, own: bool) -> Tensor:
    """The sum over a node's graph without the rows of its segment, and without the node itself unless `own`.

    x: [R, N, F]. segments: one for each of the R·N rows, of rows of the same graph. start, size: int64 [R·B], the rows
    of each graph. Returns [R, N, F], zero in padding rows.
    """
    return _RestSum.apply(x, segments, start, size, own)


class _RestSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, segments: Segments, start: Tensor, size: Tensor, own: bool) -> Tensor:
        ctx.arguments = (segments.transposed, start, size, own)
        return _operator(x, segments.ptr, segments.rows, start, size, own)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return rest_sum(grad, *ctx.arguments), None, None, None, None


def plain_rest_sum(x: Tensor, ptr: Tensor, rows: Tensor, start: Tensor, size: Tensor, own: bool) -> Tensor:
    """`rest_sum` in plain torch."""
    flat = x.flatten(0, 1)
    row = torch.arange(len(flat), device=start.device)
    # The last graph that begins at the row or before it; padding lies beyond its end.
    graph = torch.searchsorted(start, row, right=True) - 1
    inside = row < (start + size)[graph]
    # One graph more takes the padding.
    sums = flat.new_zeros(len(size) + 1, x.shape[2]).index_add(0, torch.where(inside, graph, len(size)), flat)
    rest = sums[graph] - plain_sum(x, ptr, rows) - (0 if own else flat)
    return rest.masked_fill(~inside[:, None], 0).view_as(x)


def _compiled(x: Tensor, ptr: Tensor, rows: Tensor, start: Tensor, size: Tensor, own: bool) -> Tensor:
    out = x.new_zeros(x.shape)
    arrays = (tensor.numpy() for tensor in (ptr, rows, start, size))
    _rest_sum(flat_rows(x), *arrays, own, flat_rows(out))  # type: ignore[call-arg]
    return out


@njit(cache=True, nogil=True)
def _rest_sum(x, ptr, rows, start, size, own, out):
    width = x.shape[1]
    zero = x.dtype.type(0)
    everyone = np.empty(width, x.dtype)
    for graph in range(len(start)):
        first, last = start[graph], start[graph] + size[graph]
        for f in range(width):
            everyone[f] = zero
        for row in range(first, last):
            for f in range(width):
                everyone[f] += x[row, f]
        for row in range(first, last):
            if own:
                for f in range(width):
                    out[row, f] = everyone[f]
            else:
                for f in range(width):
                    out[row, f] = everyone[f] - x[row, f]
            for entry in range(ptr[row], ptr[row + 1]):
                other = rows[entry]
                for f in range(width):
                    out[row, f] -= x[other, f]


_operator = define(
    "rest_sum(Tensor x, Tensor ptr, Tensor rows, Tensor start, Tensor size, bool own) -> Tensor",
    _compiled,
    plain_rest_sum,
    lambda x, *others: x.new_empty(x.shape),
)
