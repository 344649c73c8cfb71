"""‖SᵀS/‖SᵀS‖ − I/√k‖ for every graph, the second of MinCutPool's losses, as one operation.

An operator of torch's (`rethinking/operators.py`): compiled loops and products on the CPU, on any other device the
plain torch form beside it, which the tests hold it against. Of a graph with fewer nodes than clusters the loop takes
S Sᵀ, which is smaller than SᵀS and has the same eigenvalues, but for k − n zeros.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.products import plain_product, plain_rows, zero_padding
from rethinking.graphs.segments import flat_rows
from rethinking.operators import define
from rethinking.pooling.gramian import fill_gramian, own_gramian


def orthogonality(s: Tensor, start: Tensor, size: Tensor, most: int) -> Tensor:
    """s: [R, N, k]. start, size: int64 [R·B], the rows of a graph; most: no graph has more. Returns [R·B]."""
    return _Orthogonality.apply(s, start, size, most)


class _Orthogonality(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, s: Tensor, start: Tensor, size: Tensor, most: int) -> Tensor:
        loss, *others = _operator(s, start, size, most)
        ctx.most = most
        ctx.save_for_backward(s, start, size, loss, *others)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        return _backward_operator(grad, *ctx.saved_tensors, ctx.most), None, None, None


def plain_orthogonality(s: Tensor, start: Tensor, size: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`orthogonality` in plain torch, for any device; and the norm and the trace of SᵀS, [R·B] each, and SᵀS."""
    gramian, k = plain_product(s, s, start, size, most), s.shape[-1]
    norm = torch.linalg.matrix_norm(gramian)
    even = torch.eye(k, device=s.device, dtype=s.dtype) / k**0.5
    loss = torch.linalg.matrix_norm(gramian / norm[:, None, None] - even)
    return loss, norm, gramian.diagonal(dim1=1, dim2=2).sum(dim=1), gramian


def plain_orthogonality_backward(
    grad: Tensor,
    s: Tensor,
    start: Tensor,
    size: Tensor,
    loss: Tensor,
    norm: Tensor,
    trace: Tensor,
    gramian: Tensor,
    most: int,
) -> Tensor:
    """The gradient of s in plain torch, zero for a loss of zero."""
    along, own = _slopes(grad, loss, norm, trace, s.shape[-1])
    one = torch.eye(s.shape[-1], device=s.device, dtype=s.dtype)
    return plain_rows(s, along[:, None, None] * gramian - own[:, None, None] * one, start, size, most)


def _slopes(grad: Tensor, loss: Tensor, norm: Tensor, trace: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """a and b, [R·B], of the gradient a S SᵀS − b S."""
    own = (2 * grad / (loss * norm * k**0.5)).masked_fill(loss == 0, 0)
    return own * trace / norm.square(), own


def _compiled(s: Tensor, start: Tensor, size: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    results = tuple(s.new_empty(shape) for shape in _shapes(s, start))
    _orthogonality(flat_rows(s), start.numpy(), size.numpy(), *(x.numpy() for x in results))
    return results  # type: ignore[return-value]


def _compiled_backward(
    grad: Tensor,
    s: Tensor,
    start: Tensor,
    size: Tensor,
    loss: Tensor,
    norm: Tensor,
    trace: Tensor,
    gramian: Tensor,
    most: int,
) -> Tensor:
    grad_s = torch.empty_like(s, memory_format=torch.contiguous_format)
    slopes = (slope.numpy() for slope in _slopes(grad, loss, norm, trace, s.shape[-1]))
    arrays = (tensor.numpy() for tensor in (gramian, start, size))
    _orthogonality_backward(*slopes, flat_rows(s), *arrays, flat_rows(grad_s))  # type: ignore[call-arg]
    return grad_s


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _orthogonality(s, start, size, loss, norm, trace, gramians):
    k = s.shape[1]
    even = s.dtype.type(1 / np.sqrt(k))
    for graph in range(len(start)):
        least = min(size[graph], k)
        gramian = own_gramian(gramians, graph, least)
        fill_gramian(s[start[graph] : start[graph] + size[graph]], gramian)
        square, diagonal = s.dtype.type(0), s.dtype.type(0)
        for i in range(least):
            for j in range(least):
                square += gramian[i, j] * gramian[i, j]
            diagonal += gramian[i, i]
        scale = s.dtype.type(1) / np.sqrt(square)
        # Of the k − n eigenvalues that are zero, what I/√k leaves of them.
        off = s.dtype.type((k - least) / k)
        for i in range(least):
            for j in range(i):
                value = gramian[i, j] * scale
                off += value * value
            for j in range(i + 1, least):
                value = gramian[i, j] * scale
                off += value * value
            value = gramian[i, i] * scale - even
            off += value * value
        loss[graph], norm[graph], trace[graph] = np.sqrt(off), np.sqrt(square), diagonal


@njit(cache=True, nogil=True)
def _orthogonality_backward(along, own, s, gramians, start, size, grad_s):
    k = s.shape[1]
    zero_padding(grad_s, start, size)
    for graph in range(len(start)):
        first, last = start[graph], start[graph] + size[graph]
        least = min(size[graph], k)
        scaled = np.empty((least, least), s.dtype)
        gramian = own_gramian(gramians, graph, least)
        for i in range(least):
            for j in range(least):
                scaled[i, j] = along[graph] * gramian[i, j]
            scaled[i, i] -= own[graph]
        if last - first < k:
            np.dot(scaled, s[first:last], grad_s[first:last])
        else:
            np.dot(s[first:last], scaled, grad_s[first:last])


def _shapes(s: Tensor, start: Tensor, *others: Tensor) -> tuple[tuple[int, ...], ...]:
    graphs, k = start.shape[0], s.shape[-1]
    return (graphs,), (graphs,), (graphs,), (graphs, k, k)


_operator = define(
    "orthogonality(Tensor s, Tensor start, Tensor size, int most) -> (Tensor, Tensor, Tensor, Tensor)",
    _compiled,
    plain_orthogonality,
    lambda s, *others: tuple(s.new_empty(shape) for shape in _shapes(s, *others)),
)
_backward_operator = define(
    "orthogonality_backward(Tensor grad, Tensor s, Tensor start, Tensor size, Tensor loss, Tensor norm, Tensor trace,"
    " Tensor gramian, int most) -> Tensor",
    _compiled_backward,
    plain_orthogonality_backward,
    lambda grad, s, *others: torch.empty_like(s),
)
