"""The convolution of one-hot features as look-ups: a node's kind says which row of the weights it takes.

An operator of torch's (`rethinking/operators.py`): compiled loops on the CPU, on any other device the plain torch form
beside it, which the tests hold it against.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor

from rethinking.graphs.convolve import plain_convolve, plain_convolve_backward
from rethinking.graphs.segments import Segments
from rethinking.operators import define


@dataclass(frozen=True)
class OneHot:
    """Features with a single one in every row. x: [R, N, F]. kinds: int64 [R, N], the column that has it."""

    x: Tensor
    kinds: Tensor


def convolve_kinds(
    kinds: Tensor, weight: Tensor, bias: Tensor, segments: Segments, nodes: Tensor, relu: bool
) -> Tensor:
    """`convolve` of the features whose only one is in column `kinds`, int64 [R, N]; the rest as there."""
    return _ConvolveKinds.apply(kinds, weight, bias, segments, nodes, relu)


class _ConvolveKinds(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, kinds: Tensor, weight: Tensor, bias: Tensor, segments: Segments, nodes: Tensor, relu: bool
    ) -> Tensor:
        out = _operator(kinds, weight, bias, segments.ptr, segments.rows, nodes, relu)
        ctx.save_for_backward(kinds, nodes, *([out] if relu else []))
        ctx.segments, ctx.features = segments, weight.shape[1] // 2
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        kinds, nodes, *outs = ctx.saved_tensors
        out = outs[0] if outs else None
        s = ctx.segments
        return None, *_backward_operator(grad, kinds, out, s.ptr, s.rows, nodes, ctx.features), None, None, None


def plain_kinds(
    kinds: Tensor, weight: Tensor, bias: Tensor, ptr: Tensor, rows: Tensor, nodes: Tensor, relu: bool
) -> Tensor:
    """`convolve_kinds` in plain torch, for any device: `convolve` of the features."""
    return plain_convolve(
        _one_hot(kinds, weight.shape[1] // 2, weight), weight, bias, ptr, rows, nodes, relu, mean=False
    )


def plain_kinds_backward(
    grad: Tensor, kinds: Tensor, out: Tensor | None, ptr: Tensor, rows: Tensor, nodes: Tensor, features: int
) -> tuple[Tensor, Tensor]:
    """The gradients of weight and bias in plain torch. out: what ReLU gave, None without it."""
    x = _one_hot(kinds, features, grad)
    no_weight = grad.new_empty(len(grad), 2 * features, grad.shape[2])
    return plain_convolve_backward(grad, x, no_weight, out, ptr, rows, nodes, mean=False, needs_x=False)[1:]


def _one_hot(kinds: Tensor, features: int, like: Tensor) -> Tensor:
    return F.one_hot(kinds, features).to(like.dtype)


def _compiled(
    kinds: Tensor, weight: Tensor, bias: Tensor, ptr: Tensor, rows: Tensor, nodes: Tensor, relu: bool
) -> Tensor:
    out = weight.new_empty(*kinds.shape, weight.shape[2])
    arrays = [tensor.contiguous().numpy() for tensor in (kinds, weight, bias, ptr, rows, nodes)]
    _convolve(*arrays, relu, out.numpy())  # type: ignore[call-arg]
    return out


def _compiled_backward(
    grad: Tensor, kinds: Tensor, out: Tensor | None, ptr: Tensor, rows: Tensor, nodes: Tensor, features: int
) -> tuple[Tensor, Tensor]:
    grads = grad.new_zeros(len(grad), 2 * features, grad.shape[2]), grad.new_zeros(len(grad), 1, grad.shape[2])
    cut = grad if out is None else out
    arrays = [tensor.contiguous().numpy() for tensor in (grad, kinds, cut, ptr, rows, nodes)]
    _convolve_backward(*arrays, out is not None, *(tensor.numpy() for tensor in grads))  # type: ignore[call-arg]
    return grads


# In all loops a row is taken out first, and a loop has one statement: the compiler vectorises these.
@njit(cache=True, nogil=True)
def _convolve(kinds, weight, bias, ptr, rows, nodes, relu, out):
    replicas, width, wide = out.shape
    features = weight.shape[1] // 2
    zero = out.dtype.type(0)
    for r in range(replicas):
        first, shift = r * width, bias[r, 0]
        for i in range(nodes[r]):
            row, own = out[r, i], weight[r, kinds[r, i]]
            for f in range(wide):
                row[f] = shift[f] + own[f]
            for entry in range(ptr[first + i], ptr[first + i + 1]):
                other = weight[r, features + kinds[r, rows[entry] - first]]
                for f in range(wide):
                    row[f] += other[f]
            if relu:
                for f in range(wide):
                    # What is not a number stays.
                    row[f] = zero if row[f] < zero else row[f]
        out[r, nodes[r] :] = zero


@njit(cache=True, nogil=True)
def _convolve_backward(grad, kinds, out, ptr, rows, nodes, relu, grad_weight, grad_bias):
    replicas, width, wide = grad.shape
    features = grad_weight.shape[1] // 2
    zero = grad.dtype.type(0)
    kept = np.empty(wide, grad.dtype)
    for r in range(replicas):
        first, on_bias = r * width, grad_bias[r, 0]
        for i in range(nodes[r]):
            given, value, own = grad[r, i], out[r, i], grad_weight[r, kinds[r, i]]
            if relu:
                for f in range(wide):
                    kept[f] = zero if value[f] <= zero else given[f]
            else:
                for f in range(wide):
                    kept[f] = given[f]
            for f in range(wide):
                on_bias[f] += kept[f]
            for f in range(wide):
                own[f] += kept[f]
            for entry in range(ptr[first + i], ptr[first + i + 1]):
                other = grad_weight[r, features + kinds[r, rows[entry] - first]]
                for f in range(wide):
                    other[f] += kept[f]


_operator = define(
    "convolve_kinds(Tensor kinds, Tensor weight, Tensor bias, Tensor ptr, Tensor rows, Tensor nodes, bool relu)"
    " -> Tensor",
    _compiled,
    plain_kinds,
    lambda kinds, weight, *others: weight.new_empty(*kinds.shape, weight.shape[2]),
)
_backward_operator = define(
    "convolve_kinds_backward(Tensor grad, Tensor kinds, Tensor? out, Tensor ptr, Tensor rows, Tensor nodes,"
    " int features) -> (Tensor, Tensor)",
    _compiled_backward,
    plain_kinds_backward,
    lambda grad, kinds, out, ptr, rows, nodes, features: (
        grad.new_empty(grad.shape[0], 2 * features, grad.shape[2]),
        grad.new_empty(grad.shape[0], 1, grad.shape[2]),
    ),
)
