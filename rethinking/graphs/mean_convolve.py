"""ReLU([X | means over segments] W + b): GraphSAGE's convolution as one operation, replica after replica.

An operator of torch's (`rethinking/operators.py`): compiled loops and products on the CPU, a block of nodes after
another, so that [X | means] is never made as a whole; on any other device the plain torch form beside it, which the
tests hold it against.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.segments import Segments, plain_sum
from rethinking.graphs.tall import add_tall_product, tall_product
from rethinking.operators import define

# Nodes at a time: [X | means] of 64 features takes 64 kB then, an eighth of a core's second cache or less.
BLOCK = 128


def mean_convolve_relu(x: Tensor, weight: Tensor, bias: Tensor, segments: Segments) -> Tensor:
    """x: [R, N, F]. weight: [R, 2·F, G], that of a row above that of the mean over its segment. bias: [R, 1, G].

    segments: one for each of the R·N rows, which hold rows of the same replica; the mean of none is zero. Returns
    [R, N, G].
    """
    return _MeanConvolve.apply(x, weight, bias, segments)


class _MeanConvolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, segments: Segments) -> Tensor:
        out = _operator(x, weight, bias, segments.ptr, segments.rows)
        # The output shows where ReLU cut. [X | means] is made again in the backward pass: that costs less than to fetch
        # it from memory.
        ctx.save_for_backward(x, weight, out)
        ctx.segments = segments
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        s, needs_x = ctx.segments, ctx.needs_input_grad[0]
        arrays = (s.ptr, s.rows, s.row_ptr, s.row_segments)
        grad_x, *others = _backward_operator(grad, *ctx.saved_tensors, *arrays, needs_x)
        return grad_x if needs_x else None, *others, None


def plain_mean_convolve(x: Tensor, weight: Tensor, bias: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    """`mean_convolve_relu` in plain torch, for any device."""
    return torch.baddbmm(bias, _beside_mean(x, ptr, rows), weight).relu()


def plain_mean_convolve_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    out: Tensor,
    ptr: Tensor,
    rows: Tensor,
    row_ptr: Tensor,
    row_segments: Tensor,
    needs_x: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias in plain torch; that of x is empty unless it is needed."""
    # As torch's ReLU: where the output is not a number the gradient passes.
    grad = grad.masked_fill(out <= 0, 0)
    grad_weight, grad_bias = _beside_mean(x, ptr, rows).transpose(1, 2) @ grad, grad.sum(dim=1, keepdim=True)
    if not needs_x:
        return x.new_empty(len(x), 0, x.shape[2]), grad_weight, grad_bias
    own, means = (grad @ weight.transpose(1, 2)).chunk(2, dim=2)
    return own + plain_sum(means * _share(x, ptr), row_ptr, row_segments).view_as(x), grad_weight, grad_bias


def _beside_mean(x: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    return torch.cat([x, plain_sum(x, ptr, rows).view_as(x) * _share(x, ptr)], dim=2)


def _share(x: Tensor, ptr: Tensor) -> Tensor:
    """By what a sum over a segment is multiplied, [R, N, 1]."""
    return ptr.diff().clamp(min=1).to(x.dtype).reciprocal().view(*x.shape[:2], 1)


def _compiled(x: Tensor, weight: Tensor, bias: Tensor, ptr: Tensor, rows: Tensor) -> Tensor:
    out = x.new_empty(*x.shape[:2], weight.shape[2])
    _convolve(*_arrays(x, weight, bias, ptr, rows, out))
    return out


def _compiled_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    out: Tensor,
    ptr: Tensor,
    rows: Tensor,
    row_ptr: Tensor,
    row_segments: Tensor,
    needs_x: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    grad_x = x.new_empty(len(x), x.shape[1] if needs_x else 0, x.shape[2])
    grad_weight, grad_bias = x.new_zeros(weight.shape), x.new_zeros(len(x), 1, weight.shape[2])
    given = _arrays(grad, x, weight, out, ptr, rows, row_ptr, row_segments)
    _convolve_backward(needs_x, *given, *_arrays(grad_x, grad_weight, grad_bias))
    return grad_x, grad_weight, grad_bias


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [tensor.contiguous().numpy() for tensor in tensors]


@njit(cache=True, nogil=True, error_model="numpy")
def _gather(x, first_row, first, last, ptr, rows, beside):
    """[X | means] of the rows first … last − 1 of one replica, whose first row is `first_row` of all."""
    features = x.shape[1]
    for i in range(first, last):
        begin, end = ptr[first_row + i], ptr[first_row + i + 1]
        own, copy, mean = x[i], beside[i - first, :features], beside[i - first, features:]
        for f in range(features):
            copy[f] = own[f]
        for f in range(features):
            mean[f] = 0
        for entry in range(begin, end):
            other = x[rows[entry] - first_row]
            for f in range(features):
                mean[f] += other[f]
        share = x.dtype.type(1) / x.dtype.type(max(end - begin, 1))
        for f in range(features):
            mean[f] *= share


@njit(cache=True, nogil=True)
def _convolve(x, weight, bias, ptr, rows, out):
    replicas, width, features = x.shape
    zero = x.dtype.type(0)
    beside = np.empty((BLOCK, 2 * features), x.dtype)
    for r in range(replicas):
        own_bias = bias[r, 0]
        for first in range(0, width, BLOCK):
            last = min(first + BLOCK, width)
            _gather(x[r], r * width, first, last, ptr, rows, beside)
            tall_product(beside[: last - first], weight[r], out[r, first:last])
            for i in range(first, last):
                row = out[r, i]
                for f in range(len(row)):
                    value = row[f] + own_bias[f]
                    # What is not a number stays.
                    row[f] = zero if value < zero else value


@njit(cache=True, nogil=True, error_model="numpy")
def _convolve_backward(needs_x, grad, x, weight, out, ptr, rows, row_ptr, row_segments, grad_x, grad_weight, grad_bias):
    replicas, width, features = x.shape
    zero = x.dtype.type(0)
    beside = np.empty((BLOCK, 2 * features), x.dtype)
    kept = np.empty((BLOCK, grad.shape[2]), x.dtype)
    on_beside = np.empty((width if needs_x else 0, 2 * features), x.dtype)
    for r in range(replicas):
        first_row, on_bias, turned = r * width, grad_bias[r, 0], np.ascontiguousarray(weight[r].T)
        for first in range(0, width, BLOCK):
            last = min(first + BLOCK, width)
            for i in range(first, last):
                given, value, row = grad[r, i], out[r, i], kept[i - first]
                for f in range(len(row)):
                    row[f] = zero if value[f] <= zero else given[f]
                for f in range(len(row)):
                    on_bias[f] += row[f]
            _gather(x[r], first_row, first, last, ptr, rows, beside)
            add_tall_product(beside[: last - first], kept[: last - first], grad_weight[r])
            if needs_x:
                tall_product(kept[: last - first], turned, on_beside[first:last])
                for i in range(first, last):
                    mean = on_beside[i, features:]
                    count = max(ptr[first_row + i + 1] - ptr[first_row + i], 1)
                    share = x.dtype.type(1) / x.dtype.type(count)
                    for f in range(features):
                        mean[f] *= share
        if needs_x:
            for i in range(width):
                row, own = grad_x[r, i], on_beside[i, :features]
                for f in range(features):
                    row[f] = own[f]
                for entry in range(row_ptr[first_row + i], row_ptr[first_row + i + 1]):
                    other = on_beside[row_segments[entry] - first_row, features:]
                    for f in range(features):
                        row[f] += other[f]


_operator = define(
    "mean_convolve_relu(Tensor x, Tensor weight, Tensor bias, Tensor ptr, Tensor rows) -> Tensor",
    _compiled,
    plain_mean_convolve,
    lambda x, weight, *others: x.new_empty(*x.shape[:2], weight.shape[2]),
)
_backward_operator = define(
    "mean_convolve_relu_backward(Tensor grad, Tensor x, Tensor weight, Tensor out, Tensor ptr, Tensor rows,"
    " Tensor row_ptr, Tensor row_segments, bool needs_x) -> (Tensor, Tensor, Tensor)",
    _compiled_backward,
    plain_mean_convolve_backward,
    lambda grad, x, weight, out, ptr, rows, row_ptr, row_segments, needs_x: (
        x.new_empty(x.shape[0], x.shape[1] if needs_x else 0, x.shape[2]),
        torch.empty_like(weight),
        x.new_empty(x.shape[0], 1, weight.shape[2]),
    ),
)
