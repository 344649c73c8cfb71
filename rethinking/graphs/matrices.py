"""Products of many matrices, one a graph or one a replica, as `torch.bmm`.

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


def _compiled_product(a: Tensor, b: Tensor) -> Tensor:
    out = a.new_empty(len(a), a.shape[1], b.shape[2])
    _products(*as_it_lies(a), *as_it_lies(b), out.numpy())
    return out


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


_operator = define(
    "matrix_product(Tensor a, Tensor b) -> Tensor",
    _compiled_product,
    torch.bmm,
    lambda a, b: a.new_empty(a.shape[0], a.shape[1], b.shape[2]),
)
