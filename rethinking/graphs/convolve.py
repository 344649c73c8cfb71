"""[X | sums or means over segments] W + b, and ReLU: a graph convolution as one operation, replica after replica.

An operator of torch's (`rethinking/operators.py`): compiled loops and products on the CPU, where all that one replica
needs stays in the cache; on any other device the plain torch form beside it, which the tests hold it against.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.gather import sum_rows
from rethinking.graphs.segments import Segments, plain_sum, present_rows, segment_of
from rethinking.graphs.tall import add_tall_product, tall_product
from rethinking.operators import define


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor, segments: Segments, nodes: Tensor, relu: bool, mean: bool = False
) -> Tensor:
    """x: [R, N, F]. weight: [R, 2·F, G], that of a row above that of the sum over its segment. bias: [R, 1, G].

    segments: one for each of the R·N rows, which hold rows of the same replica. nodes: int64 [R], how many rows of each
    replica are nodes, its first ones; the others are padding. mean: over a segment, in place of the sum; that of none
    is zero. Returns [R, N, G], zero in padding rows.
    """
    return _Convolve.apply(x, weight, bias, segments, nodes, relu, mean)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, segments: Segments, nodes: Tensor, relu: bool, mean: bool
    ) -> Tensor:
        # A copy where it is a column of all parameters; once for both passes.
        weight = weight.contiguous()
        out = _operator(x, weight, bias, segments.ptr, segments.rows, nodes, relu, mean)
        # The output shows where ReLU cut; without it what follows may change the output in place. [X | sums] is made
        # again in the backward pass: that costs less than to fetch it from memory.
        ctx.save_for_backward(x, weight, nodes, *([out] if relu else []))
        ctx.segments, ctx.mean = segments, mean
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, nodes, *outs = ctx.saved_tensors
        s, needs_x, out = ctx.segments, ctx.needs_input_grad[0], outs[0] if outs else None
        grads = _backward_operator(grad, x, weight, out, s.ptr, s.rows, nodes, ctx.mean, needs_x)
        return grads[0] if needs_x else None, grads[1], grads[2], None, None, None, None


def plain_convolve(
    x: Tensor, weight: Tensor, bias: Tensor, ptr: Tensor, rows: Tensor, nodes: Tensor, relu: bool, mean: bool
) -> Tensor:
    """`convolve` in plain torch, for any device."""
    padding = ~present_rows(x, nodes)
    out = torch.baddbmm(bias, _beside(x.masked_fill(padding, 0), ptr, rows, mean), weight)
    return (out.relu() if relu else out).masked_fill(padding, 0)


def plain_convolve_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    out: Tensor | None,
    ptr: Tensor,
    rows: Tensor,
    nodes: Tensor,
    mean: bool,
    needs_x: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias in plain torch; that of x is empty unless it is needed.

    out: what ReLU gave, None without it.
    """
    padding = ~present_rows(x, nodes)
    # As torch's ReLU: where the output is not a number the gradient passes.
    grad = (grad if out is None else grad.masked_fill(out <= 0, 0)).masked_fill(padding, 0)
    beside = _beside(x.masked_fill(padding, 0), ptr, rows, mean)
    grad_weight, grad_bias = beside.transpose(1, 2) @ grad, grad.sum(dim=1, keepdim=True)
    if not needs_x:
        return x.new_empty(len(x), 0, x.shape[2]), grad_weight, grad_bias
    on_own, on_sums = (grad @ weight.transpose(1, 2)).flatten(0, 1).chunk(2, dim=1)
    on_sums = on_sums * _shares(ptr, x) if mean else on_sums
    none = on_sums.new_zeros(1, x.shape[2])
    grad_x = on_own.index_add(0, rows, torch.cat([on_sums, none])[segment_of(ptr, rows)]).view(x.shape)
    return grad_x, grad_weight, grad_bias


def _beside(x: Tensor, ptr: Tensor, rows: Tensor, mean: bool) -> Tensor:
    """[X | sums] or [X | means]."""
    sums = plain_sum(x, ptr, rows)
    return torch.cat([x, (sums * _shares(ptr, x) if mean else sums).view_as(x)], dim=-1)


def _shares(ptr: Tensor, x: Tensor) -> Tensor:
    """By what a sum over each segment is multiplied to be a mean, [R·N, 1]."""
    return ptr.diff().clamp(min=1).to(x.dtype).reciprocal()[:, None]


def _compiled(
    x: Tensor, weight: Tensor, bias: Tensor, ptr: Tensor, rows: Tensor, nodes: Tensor, relu: bool, mean: bool
) -> Tensor:
    out = x.new_empty(*x.shape[:2], weight.shape[2])
    arrays = [tensor.contiguous().numpy() for tensor in (x, weight, bias, ptr, rows, nodes)]
    _convolve(*arrays, relu, mean, out.numpy())  # type: ignore[call-arg]
    return out


def _compiled_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    out: Tensor | None,
    ptr: Tensor,
    rows: Tensor,
    nodes: Tensor,
    mean: bool,
    needs_x: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    replicas, width, features = x.shape
    grad_x = x.new_zeros(replicas, width if needs_x else 0, features)
    grad_weight, grad_bias = x.new_zeros(weight.shape), x.new_zeros(replicas, 1, weight.shape[2])
    cut = grad if out is None else out
    arrays = [tensor.contiguous().numpy() for tensor in (grad, x, weight, cut, ptr, rows, nodes)]
    grads = (tensor.numpy() for tensor in (grad_x, grad_weight, grad_bias))
    _convolve_backward(*arrays, out is not None, mean, needs_x, *grads)  # type: ignore[call-arg]
    return grad_x, grad_weight, grad_bias


# So many rows at a time that what is made of them stays in the cache.
BLOCK = 256


# In all loops a row is taken out first, and a loop has one statement: the compiler vectorises these.
@njit(cache=True, nogil=True, error_model="numpy")
def _gather(x, first, begin, end, ptr, rows, mean, beside):
    """[X | sums over segments] of rows begin … end of one replica, whose first row is `first` of all."""
    features = x.shape[1]
    for i in range(begin, end):
        own, copy, total = x[i], beside[i - begin, :features], beside[i - begin, features:]
        entry, last = ptr[first + i], ptr[first + i + 1]
        for f in range(features):
            copy[f] = own[f]
        sum_rows(x, rows, first, entry, last, total)
        if mean:
            share = x.dtype.type(1) / x.dtype.type(max(last - entry, 1))
            for f in range(features):
                total[f] *= share


@njit(cache=True, nogil=True)
def _convolve(x, weight, bias, ptr, rows, nodes, relu, mean, out):
    replicas, width, features = x.shape
    zero = x.dtype.type(0)
    beside = np.empty((min(width, BLOCK), 2 * features), x.dtype)
    for r in range(replicas):
        shift = bias[r, 0]
        for begin in range(0, nodes[r], BLOCK):
            end = min(begin + BLOCK, nodes[r])
            _gather(x[r], r * width, begin, end, ptr, rows, mean, beside)
            tall_product(beside[: end - begin], weight[r], out[r, begin:end])
            for i in range(begin, end):
                row = out[r, i]
                if relu:
                    for f in range(len(row)):
                        value = row[f] + shift[f]
                        # What is not a number stays.
                        row[f] = zero if value < zero else value
                else:
                    for f in range(len(row)):
                        row[f] += shift[f]
        out[r, nodes[r] :] = zero


@njit(cache=True, nogil=True, error_model="numpy")
def _convolve_backward(grad, x, weight, out, ptr, rows, nodes, relu, mean, needs_x, grad_x, grad_weight, grad_bias):
    replicas, width, features = x.shape
    wide = grad.shape[2]
    kept = np.empty((min(width, BLOCK), wide), x.dtype)
    beside = np.empty((min(width, BLOCK), 2 * features), x.dtype)
    zero = x.dtype.type(0)
    for r in range(replicas):
        first, on_bias, turned = r * width, grad_bias[r, 0], np.ascontiguousarray(weight[r].T)
        for begin in range(0, nodes[r], BLOCK):
            end = min(begin + BLOCK, nodes[r])
            count = end - begin
            for i in range(count):
                given, row = grad[r, begin + i], kept[i]
                if relu:
                    value = out[r, begin + i]
                    for f in range(wide):
                        row[f] = zero if value[f] <= zero else given[f]
                else:
                    for f in range(wide):
                        row[f] = given[f]
                for f in range(wide):
                    on_bias[f] += row[f]
            _gather(x[r], first, begin, end, ptr, rows, mean, beside)
            add_tall_product(beside[:count], kept[:count], grad_weight[r])
            if not needs_x:
                continue
            # From here on its gradient.
            tall_product(kept[:count], turned, beside[:count])
            for i in range(count):
                row, add, on_sum = grad_x[r, begin + i], beside[i, :features], beside[i, features:]
                entries = rows[ptr[first + begin + i] : ptr[first + begin + i + 1]]
                for f in range(features):
                    row[f] += add[f]
                if mean:
                    share = x.dtype.type(1) / x.dtype.type(max(len(entries), 1))
                    for f in range(features):
                        on_sum[f] *= share
                for entry in entries:
                    row = grad_x[r, entry - first]
                    for f in range(features):
                        row[f] += on_sum[f]


_operator = define(
    "convolve(Tensor x, Tensor weight, Tensor bias, Tensor ptr, Tensor rows, Tensor nodes, bool relu, bool mean)"
    " -> Tensor",
    _compiled,
    plain_convolve,
    lambda x, weight, *others: x.new_empty(*x.shape[:2], weight.shape[2]),
)
_backward_operator = define(
    "convolve_backward(Tensor grad, Tensor x, Tensor weight, Tensor? out, Tensor ptr, Tensor rows, Tensor nodes,"
    " bool mean, bool needs_x) -> (Tensor, Tensor, Tensor)",
    _compiled_backward,
    plain_convolve_backward,
    lambda grad, x, weight, *others: (
        x.new_empty(x.shape[0], x.shape[1] if others[-1] else 0, x.shape[2]),
        torch.empty_like(weight),
        x.new_empty(x.shape[0], 1, weight.shape[2]),
    ),
)
