"""Operations on each row of features by itself: the softmax, and the scaling to unit length.

Operators of torch's (`rethinking/operators.py`): compiled loops on the CPU, on any other device the plain torch form
beside them, which the tests hold them against.
"""

import math
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.segments import flat_rows
from rethinking.operators import define


def softmax(x: Tensor) -> Tensor:
    """exp(x) / its sum, for every row. x: […, F]."""
    return _Softmax.apply(x)


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        out = _softmax_operator(x)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _softmax_backward_operator(grad, *ctx.saved_tensors)


def plain_softmax(x: Tensor) -> Tensor:
    """`softmax` in plain torch."""
    return x.softmax(dim=-1)


def plain_softmax_backward(grad: Tensor, out: Tensor) -> Tensor:
    """The gradient of `softmax` in plain torch."""
    return out * (grad - (out * grad).sum(dim=-1, keepdim=True))


def _compiled_softmax(x: Tensor) -> Tensor:
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    loop = _softmax_single if x.dtype == torch.float32 else _softmax
    loop(flat_rows(x), flat_rows(out))
    return out


def _compiled_softmax_backward(grad: Tensor, out: Tensor) -> Tensor:
    grad_x = torch.empty_like(out)
    _softmax_backward(flat_rows(grad), flat_rows(out), flat_rows(grad_x))
    return grad_x


@njit(cache=True, nogil=True, error_model="numpy")
def _softmax(x, out):
    width = x.shape[1]
    for row in range(x.shape[0]):
        top = x[row, 0]
        for f in range(width):
            top = max(top, x[row, f])
        total = 0.0
        for f in range(width):
            out[row, f] = math.exp(x[row, f] - top)
            total += out[row, f]
        for f in range(width):
            out[row, f] /= total


# Sums may be taken in another order, so that they are vectorised; what is not a number must stay so.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _softmax_single(x, out):
    """In single precision, with an exp that the compiler vectorises: 2^k times a polynomial (Cephes, `expf`)."""
    width = x.shape[1]
    bits = np.empty(width, np.int32)
    power = bits.view(np.float32)
    for row in range(x.shape[0]):
        top = x[row, 0]
        for f in range(width):
            top = max(top, x[row, f])
        for f in range(width):
            value = x[row, f] - top
            # Below, exp is smaller than the smallest number of full precision.
            value = value if not value < np.float32(-87) else np.float32(-87)
            k = np.floor(value * np.float32(1.44269504) + np.float32(0.5))
            rest = value - k * np.float32(0.693359375) + k * np.float32(2.12194440e-4)
            series = np.float32(1.9875691500e-4)
            series = series * rest + np.float32(1.3981999507e-3)
            series = series * rest + np.float32(8.3334519073e-3)
            series = series * rest + np.float32(4.1665795894e-2)
            series = series * rest + np.float32(1.6666665459e-1)
            series = series * rest + np.float32(5.0000001201e-1)
            out[row, f] = series * rest * rest + rest + np.float32(1)
            bits[f] = (np.int32(k) + np.int32(127)) << np.int32(23)
        total = np.float32(0)
        for f in range(width):
            out[row, f] *= power[f]
            total += out[row, f]
        scale = np.float32(1) / total
        for f in range(width):
            out[row, f] *= scale


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _softmax_backward(grad, out, grad_x):
    width = out.shape[1]
    for row in range(out.shape[0]):
        along = grad[row, 0] * out[row, 0]
        for f in range(1, width):
            along += grad[row, f] * out[row, f]
        for f in range(width):
            grad_x[row, f] = out[row, f] * (grad[row, f] - along)


_softmax_operator = define("row_softmax(Tensor x) -> Tensor", _compiled_softmax, plain_softmax, torch.empty_like)
_softmax_backward_operator = define(
    "row_softmax_backward(Tensor grad, Tensor out) -> Tensor",
    _compiled_softmax_backward,
    plain_softmax_backward,
    lambda grad, out: torch.empty_like(out),
)
