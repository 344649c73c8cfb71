"""x W + b, and the scaling of its rows to unit length, as one operation.

An operator of torch's (`rethinking/operators.py`): compiled loops and products on the CPU, some rows of a replica after
others; on any other device the plain torch form beside it, which the tests hold it against.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor

from rethinking.graphs.tall import add_tall_product, tall_product
from rethinking.operators import define

# The smallest length that a row is divided by, as in torch's `normalize`.
SHORTEST = 1e-12

# About so many rows are taken at a time, so that what is made of them stays in the cache.
BLOCK = 512


def affine(x: Tensor, weight: Tensor, bias: Tensor, unit: bool = False) -> Tensor:
    """x W + b. x: [R, N, F]. weight: [R, F, G]. bias: [R, 1, G]. Returns [R, N, G].

    unit: every row divided by its length; a row of zeros stays.
    """
    return _Affine.apply(x, weight, bias, unit)


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, unit: bool) -> Tensor:
        out, length = _operator(x, weight, bias, unit)
        # Only what is needed, so that what follows may change the output in place.
        ctx.save_for_backward(x, weight, *([out, length] if unit else []))
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *scaled = ctx.saved_tensors
        out, length = scaled or (None, None)
        grad_x, grad_weight, grad_bias = _backward_operator(grad, x, weight, out, length, ctx.needs_input_grad[0])
        return grad_x if ctx.needs_input_grad[0] else None, grad_weight, grad_bias, None


def plain_affine(x: Tensor, weight: Tensor, bias: Tensor, unit: bool) -> tuple[Tensor, Tensor]:
    """`affine` in plain torch, and the length that each row was divided by, [R, N], or [R, 0] if none was."""
    out = torch.baddbmm(bias, x, weight)
    if not unit:
        return out, out.new_empty(len(out), 0)
    return F.normalize(out, dim=-1), torch.linalg.vector_norm(out, dim=-1).clamp(min=SHORTEST)


def plain_affine_backward(
    grad: Tensor, x: Tensor, weight: Tensor, out: Tensor | None, length: Tensor | None, needs_x: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias in plain torch; that of x is empty unless it is needed.

    out, length: what `plain_affine` gives; None unless rows are scaled.
    """
    if out is not None and length is not None:
        along = (out * grad).sum(dim=-1) * (length > SHORTEST)
        grad = (grad - out * along[..., None]) / length[..., None]
    grad_x = grad @ weight.transpose(1, 2) if needs_x else x.new_empty(len(x), 0, x.shape[2])
    return grad_x, x.transpose(1, 2) @ grad, grad.sum(dim=1, keepdim=True)


def _compiled(x: Tensor, weight: Tensor, bias: Tensor, unit: bool) -> tuple[Tensor, Tensor]:
    replicas, width, _ = x.shape
    out, length = x.new_empty(replicas, width, weight.shape[2]), x.new_empty(replicas, width if unit else 0)
    arrays = [tensor.contiguous().numpy() for tensor in (x, weight, bias)]
    _affine(*arrays, unit, out.numpy(), length.numpy())  # type: ignore[call-arg]
    return out, length


def _compiled_backward(
    grad: Tensor, x: Tensor, weight: Tensor, out: Tensor | None, length: Tensor | None, needs_x: bool
) -> tuple[Tensor, Tensor, Tensor]:
    replicas, width, features = x.shape
    grad_x = x.new_empty(replicas, width if needs_x else 0, features)
    grad_weight = x.new_empty(replicas, features, grad.shape[2])
    grad_bias = x.new_empty(replicas, 1, grad.shape[2])
    scaled = (grad, x.new_empty(replicas, 0)) if out is None or length is None else (out, length)
    arrays = [tensor.contiguous().numpy() for tensor in (grad, x, weight, *scaled)]
    grads = (tensor.numpy() for tensor in (grad_x, grad_weight, grad_bias))
    _affine_backward(*arrays, out is not None, needs_x, *grads)  # type: ignore[call-arg]
    return grad_x, grad_weight, grad_bias


# Sums may be taken in another order, so that they are vectorised; what is not a number must stay so.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _affine(x, weight, bias, unit, out, length):
    replicas, width, _ = x.shape
    features = weight.shape[2]
    block = _block(width)
    for r in range(replicas):
        b = bias[r, 0]
        for first in range(0, width, block):
            y = out[r, first : first + block]
            tall_product(x[r, first : first + block], weight[r], y)
            if unit:
                _scale(y, b, length[r, first : first + block])
            else:
                for i in range(len(y)):
                    for f in range(features):
                        y[i, f] += b[f]


@njit(cache=True, nogil=True)
def _block(width):
    """How many rows at a time, so that they are cut into equal blocks."""
    count = max((width + BLOCK // 2) // BLOCK, 1)
    return max((width + count - 1) // count, 1)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _scale(y, b, length):
    """Add the bias to some rows, and scale them to length one."""
    rows, features = y.shape
    number = y.dtype.type
    inverse = np.empty(rows, y.dtype)
    for i in range(rows):
        square = number(0)
        for f in range(features):
            value = y[i, f] + b[f]
            y[i, f] = value
            square += value * value
        length[i] = square
    for i in range(rows):
        own = np.sqrt(length[i])
        own = number(SHORTEST) if own < number(SHORTEST) else own
        length[i] = own
        inverse[i] = number(1) / own
    for i in range(rows):
        scale = inverse[i]
        for f in range(features):
            y[i, f] *= scale


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _scale_backward(grad, y, length, grad_rows):
    rows, features = y.shape
    number = y.dtype.type
    along = np.empty(rows, y.dtype)
    for i in range(rows):
        product = number(0)
        for f in range(features):
            product += y[i, f] * grad[i, f]
        # A row that is shorter is divided by a constant.
        along[i] = product if length[i] > number(SHORTEST) else number(0)
    for i in range(rows):
        scale, inward = number(1) / length[i], along[i]
        for f in range(features):
            grad_rows[i, f] = (grad[i, f] - y[i, f] * inward) * scale


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _affine_backward(grad, x, weight, out, length, unit, needs_x, grad_x, grad_weight, grad_bias):
    replicas, width = x.shape[:2]
    block = _block(width)
    scaled = np.empty((block, weight.shape[2]), x.dtype)
    for r in range(replicas):
        # As it lies in memory, the transposed weight makes the product a third slower.
        turned = np.ascontiguousarray(weight[r].T)
        grad_weight[r] = 0
        on_bias = grad_bias[r, 0]
        on_bias[:] = 0
        for first in range(0, width, block):
            g, rows = grad[r, first : first + block], x[r, first : first + block]
            if unit:
                rest = scaled[: len(g)]
                _scale_backward(g, out[r, first : first + block], length[r, first : first + block], rest)
                g = rest
            add_tall_product(rows, g, grad_weight[r])
            for i in range(len(g)):
                row = g[i]
                for f in range(len(row)):
                    on_bias[f] += row[f]
            if needs_x:
                tall_product(g, turned, grad_x[r, first : first + block])


_operator = define(
    "affine(Tensor x, Tensor weight, Tensor bias, bool unit) -> (Tensor, Tensor)",
    _compiled,
    plain_affine,
    lambda x, weight, bias, unit: (
        x.new_empty(*x.shape[:2], weight.shape[2]),
        x.new_empty(x.shape[0], x.shape[1] if unit else 0),
    ),
)
_backward_operator = define(
    "affine_backward(Tensor grad, Tensor x, Tensor weight, Tensor? out, Tensor? length, bool needs_x)"
    " -> (Tensor, Tensor, Tensor)",
    _compiled_backward,
    plain_affine_backward,
    lambda grad, x, weight, out, length, needs_x: (
        x.new_empty(x.shape[0], x.shape[1] if needs_x else 0, x.shape[2]),
        x.new_empty(weight.shape),
        x.new_empty(weight.shape[0], 1, weight.shape[2]),
    ),
)
