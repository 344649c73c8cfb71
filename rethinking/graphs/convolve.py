"""[X | sums over segments] W + b, and ReLU: a graph convolution as one operation, replica after replica.

An operator of torch's (`rethinking/operators.py`): compiled loops and products on the CPU, where all that one replica
needs stays in the cache; on any other device the plain torch form beside it, which the tests hold it against.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.segments import Segments, plain_beside_sum, plain_beside_sum_backward
from rethinking.operators import define


def convolve(x: Tensor, weight: Tensor, bias: Tensor, segments: Segments, relu: bool) -> Tensor:
    """x: [R, N, F]. weight: [R, 2·F, G], that of a row above that of the sum over its segment. bias: [R, 1, G].

    segments: one for each of the R·N rows, which hold rows of the same replica. Returns [R, N, G].
    """
    return _Convolve.apply(x, weight, bias, segments, relu)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, segments: Segments, relu: bool) -> Tensor:
        out, beside = _operator(x, weight, bias, segments.ptr, segments.rows, relu)
        # The output shows where ReLU cut; without it what follows may change the output in place.
        ctx.save_for_backward(weight, beside, *([out] if relu else []))
        ctx.segments = segments
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, beside, *outs = ctx.saved_tensors
        s, needs_x = ctx.segments, ctx.needs_input_grad[0]
        out = outs[0] if outs else None
        grads = _backward_operator(grad, weight, beside, out, s.row_ptr, s.row_segments, needs_x)
        return grads[0] if needs_x else None, grads[1], grads[2], None, None


def plain_convolve(
    x: Tensor, weight: Tensor, bias: Tensor, ptr: Tensor, rows: Tensor, relu: bool
) -> tuple[Tensor, Tensor]:
    """`convolve` in plain torch, for any device; and [X | sums]."""
    beside = plain_beside_sum(x, ptr, rows)
    out = torch.baddbmm(bias, beside, weight)
    return out.relu() if relu else out, beside


def plain_convolve_backward(
    grad: Tensor,
    weight: Tensor,
    beside: Tensor,
    out: Tensor | None,
    row_ptr: Tensor,
    row_segments: Tensor,
    needs_x: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias in plain torch; that of x is empty unless it is needed.

    out: what ReLU gave, None without it.
    """
    grad = grad if out is None else grad * (out > 0)
    grad_weight, grad_bias = beside.transpose(1, 2) @ grad, grad.sum(dim=1, keepdim=True)
    if not needs_x:
        return grad.new_empty(len(grad), 0, beside.shape[2] // 2), grad_weight, grad_bias
    grad_x = plain_beside_sum_backward(grad @ weight.transpose(1, 2), row_ptr, row_segments)
    return grad_x, grad_weight, grad_bias


def _compiled(x: Tensor, weight: Tensor, bias: Tensor, ptr: Tensor, rows: Tensor, relu: bool) -> tuple[Tensor, Tensor]:
    replicas, width, features = x.shape
    out, beside = x.new_empty(replicas, width, weight.shape[2]), x.new_empty(replicas, width, 2 * features)
    arrays = [tensor.contiguous().numpy() for tensor in (x, weight, bias, ptr, rows)]
    _convolve(*arrays, relu, beside.numpy(), out.numpy())  # type: ignore[call-arg]
    return out, beside


def _compiled_backward(
    grad: Tensor,
    weight: Tensor,
    beside: Tensor,
    out: Tensor | None,
    row_ptr: Tensor,
    row_segments: Tensor,
    needs_x: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    replicas, width, features = beside.shape
    grad_x = grad.new_empty(replicas, width if needs_x else 0, features // 2)
    grad_weight, grad_bias = torch.empty_like(weight), grad.new_empty(replicas, 1, weight.shape[2])
    cut = grad if out is None else out
    arrays = [tensor.contiguous().numpy() for tensor in (grad, weight, beside, cut, row_ptr, row_segments)]
    grads = (tensor.numpy() for tensor in (grad_x, grad_weight, grad_bias))
    _convolve_backward(*arrays, out is not None, needs_x, *grads)  # type: ignore[call-arg]
    return grad_x, grad_weight, grad_bias


@njit(cache=True, nogil=True)
def _convolve(x, weight, bias, ptr, rows, relu, beside, out):
    replicas, width, features = x.shape
    zero = x.dtype.type(0)
    for r in range(replicas):
        first = r * width
        for i in range(width):
            for f in range(features):
                beside[r, i, f] = x[r, i, f]
            for f in range(features):
                beside[r, i, features + f] = zero
            for entry in range(ptr[first + i], ptr[first + i + 1]):
                other = rows[entry] - first
                for f in range(features):
                    beside[r, i, features + f] += x[r, other, f]
        np.dot(beside[r], weight[r], out[r])
        if relu:
            for i in range(width):
                for f in range(out.shape[2]):
                    value = out[r, i, f] + bias[r, 0, f]
                    # What is not a number stays.
                    out[r, i, f] = zero if value < zero else value
        else:
            for i in range(width):
                for f in range(out.shape[2]):
                    out[r, i, f] += bias[r, 0, f]


@njit(cache=True, nogil=True)
def _convolve_backward(grad, weight, beside, out, row_ptr, row_segments, relu, needs_x, grad_x, grad_weight, grad_bias):
    replicas, width, both = beside.shape
    features, wide = both // 2, grad.shape[2]
    kept = np.empty((width, wide), grad.dtype)
    on_beside = np.empty((width, both), grad.dtype)
    zero = grad.dtype.type(0)
    for r in range(replicas):
        first = r * width
        for f in range(wide):
            grad_bias[r, 0, f] = zero
        for i in range(width):
            if relu:
                for f in range(wide):
                    # As torch's ReLU: where the output is not a number the gradient passes.
                    kept[i, f] = zero if out[r, i, f] <= zero else grad[r, i, f]
            else:
                for f in range(wide):
                    kept[i, f] = grad[r, i, f]
            for f in range(wide):
                grad_bias[r, 0, f] += kept[i, f]
        np.dot(beside[r].T, kept, grad_weight[r])
        if needs_x:
            np.dot(kept, weight[r].T, on_beside)
            for i in range(width):
                for f in range(features):
                    grad_x[r, i, f] = on_beside[i, f]
                for entry in range(row_ptr[first + i], row_ptr[first + i + 1]):
                    other = row_segments[entry] - first
                    for f in range(features):
                        grad_x[r, i, f] += on_beside[other, features + f]


_operator = define(
    "convolve(Tensor x, Tensor weight, Tensor bias, Tensor ptr, Tensor rows, bool relu) -> (Tensor, Tensor)",
    _compiled,
    plain_convolve,
    lambda x, weight, *others: (
        x.new_empty(*x.shape[:2], weight.shape[2]),
        x.new_empty(*x.shape[:2], 2 * x.shape[2]),
    ),
)
_backward_operator = define(
    "convolve_backward(Tensor grad, Tensor weight, Tensor beside, Tensor? out, Tensor row_ptr, Tensor row_segments,"
    " bool needs_x) -> (Tensor, Tensor, Tensor)",
    _compiled_backward,
    plain_convolve_backward,
    lambda grad, weight, beside, out, row_ptr, row_segments, needs_x: (
        grad.new_empty(grad.shape[0], grad.shape[1] if needs_x else 0, beside.shape[2] // 2),
        torch.empty_like(weight),
        grad.new_empty(grad.shape[0], 1, grad.shape[2]),
    ),
)
