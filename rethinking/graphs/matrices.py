"""Products of many matrices, one a graph or one a replica, as `torch.bmm` and `torch.baddbmm`.

Operators of torch's (`rethinking/operators.py`): on the CPU compiled loops, which call the library for each product and
take a third of the time of torch's own for small ones; on any other device torch's own, which the tests hold them
against.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.operators import define


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a b for every matrix. a: […, m, k], b: […, k, n]. Returns […, m, n]."""
    return _Product.apply(a.flatten(0, -3), b.flatten(0, -3)).view(*a.shape[:-1], b.shape[-1])


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x W + b for every replica. x: [R, N, F]. weight: [R, F, G]. bias: [R, 1, G]. Returns [R, N, G]."""
    return _Affine.apply(x, weight, bias)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return _operator(a, b)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        grad_a = grad_b = None
        # Each in the order in which its factor lies in memory.
        if ctx.needs_input_grad[0]:
            grad_a = _operator(grad, b.mT) if a.is_contiguous() else _operator(b, grad.mT).mT
        if ctx.needs_input_grad[1]:
            grad_b = _operator(a.mT, grad) if b.is_contiguous() else _operator(grad.mT, a).mT
        return grad_a, grad_b


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _affine_operator(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        grads = _affine_backward_operator(grad, *ctx.saved_tensors, ctx.needs_input_grad[0])
        needed = zip(grads, ctx.needs_input_grad, strict=True)
        return tuple(own if needs else None for own, needs in needed)  # type: ignore[return-value]


def plain_affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`affine` in plain torch."""
    return torch.baddbmm(bias, x, weight)


def plain_affine_backward(grad: Tensor, x: Tensor, weight: Tensor, needs_x: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias in plain torch; that of x is empty unless it is needed."""
    grad_x = grad @ weight.mT if needs_x else x.new_empty(len(x), 0, x.shape[2])
    return grad_x, x.mT @ grad, grad.sum(dim=1, keepdim=True)


def _compiled_product(a: Tensor, b: Tensor) -> Tensor:
    out = a.new_empty(len(a), a.shape[1], b.shape[2])
    _products(*as_it_lies(a), *as_it_lies(b), out.numpy())
    return out


def _compiled_affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    out = x.new_empty(*x.shape[:2], weight.shape[2])
    _affine(*(tensor.contiguous().numpy() for tensor in (x, weight, bias)), out.numpy())  # type: ignore[call-arg]
    return out


def _compiled_affine_backward(grad: Tensor, x: Tensor, weight: Tensor, needs_x: bool) -> tuple[Tensor, Tensor, Tensor]:
    grads = _affine_grads(grad, x, weight, needs_x)
    arrays = (tensor.contiguous().numpy() for tensor in (grad, x, weight))
    _affine_backward(*arrays, needs_x, *(tensor.numpy() for tensor in grads))  # type: ignore[call-arg]
    return grads


def _affine_grads(grad: Tensor, x: Tensor, weight: Tensor, needs_x: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Empty tensors of the shapes of the gradients."""
    replicas, rows, features = x.shape
    return (
        x.new_empty(replicas, rows if needs_x else 0, features),
        weight.new_empty(weight.shape),
        grad.new_empty(replicas, 1, weight.shape[2]),
    )


def as_it_lies(x: Tensor) -> tuple[np.ndarray, bool]:
    """The matrices in one piece of memory, and whether they have to be transposed."""
    if x.is_contiguous() or not x.mT.is_contiguous():
        return x.contiguous().numpy(), False
    return x.mT.numpy(), True


@njit(cache=True, nogil=True)
def _products(a, turn_a, b, turn_b, out):
    for number in range(len(out)):
        # The library is twice as fast on a copy that is turned as on a transpose.
        right = np.ascontiguousarray(b[number].T) if turn_b else b[number]
        if turn_a:
            np.dot(a[number].T, right, out[number])
        else:
            np.dot(a[number], right, out[number])


@njit(cache=True, nogil=True)
def _affine(x, weight, bias, out):
    replicas, rows, features = out.shape
    for r in range(replicas):
        np.dot(x[r], weight[r], out[r])
        for i in range(rows):
            for f in range(features):
                out[r, i, f] += bias[r, 0, f]


@njit(cache=True, nogil=True)
def _affine_backward(grad, x, weight, needs_x, grad_x, grad_weight, grad_bias):
    replicas, rows, features = grad.shape
    for r in range(replicas):
        for f in range(features):
            grad_bias[r, 0, f] = 0
        for i in range(rows):
            for f in range(features):
                grad_bias[r, 0, f] += grad[r, i, f]
        np.dot(x[r].T, grad[r], grad_weight[r])
        if needs_x:
            np.dot(grad[r], np.ascontiguousarray(weight[r].T), grad_x[r])


_operator = define(
    "matrix_product(Tensor a, Tensor b) -> Tensor",
    _compiled_product,
    torch.bmm,
    lambda a, b: a.new_empty(a.shape[0], a.shape[1], b.shape[2]),
)
_affine_operator = define(
    "affine(Tensor x, Tensor weight, Tensor bias) -> Tensor",
    _compiled_affine,
    plain_affine,
    lambda x, weight, bias: x.new_empty(*x.shape[:2], weight.shape[2]),
)
_affine_backward_operator = define(
    "affine_backward(Tensor grad, Tensor x, Tensor weight, bool needs_x) -> (Tensor, Tensor, Tensor)",
    _compiled_affine_backward,
    plain_affine_backward,
    _affine_grads,
)
