"""How near nodes are to keys, head by head, as one operator of torch's: the assignment of GMN before its softmax.

A compiled loop on the CPU, on any other device the plain torch form beside it, which the tests hold it against.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.operators import define


def nearness(x: Tensor, keys: Tensor, weight: Tensor) -> Tensor:
    """Σ_h w_h C_h with C_h ∝ 1 / (1 + ‖x − key‖²), each row of each head summing to one.

    x: [R, N, F]. keys: [R, H·k, F], head after head. weight: of each head, [R, H]. Returns [R, N, k].
    """
    return _Nearness.apply(x, keys, weight)


class _Nearness(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, keys: Tensor, weight: Tensor) -> Tensor:
        out, near, total = _operator(x, keys, weight)
        ctx.save_for_backward(x, keys, weight, near, total)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        x, keys, weight, near, total = ctx.saved_tensors
        # Of the squared distances ‖x‖² + ‖key‖² − 2 x·key, [R, N, H·k].
        on_distance, grad_weight = _backward_operator(grad, weight, near, total)
        ones = x * (2 * on_distance.sum(dim=-1, keepdim=True))
        grad_x = torch.baddbmm(ones, on_distance, keys, alpha=-2)
        grad_keys = None
        if ctx.needs_input_grad[1]:
            own = keys * (2 * on_distance.sum(dim=1)[..., None])
            grad_keys = torch.baddbmm(own, on_distance.transpose(1, 2), x, alpha=-2)
        return grad_x, grad_keys, grad_weight


def squared_distance(x: Tensor, keys: Tensor) -> Tensor:
    """‖x_i − key_j‖² as ‖x‖² + ‖key‖² − 2 x·key. x: [R, N, F]. keys: [R, K, F]. Returns [R, N, K]."""
    norms = x.square().sum(dim=-1, keepdim=True) + keys.square().sum(dim=-1)[:, None]
    return torch.baddbmm(norms, x, keys.transpose(1, 2), alpha=-2).clamp(min=0)


def plain_nearness(x: Tensor, keys: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`nearness` in plain torch; 1 / (1 + ‖x − key‖²) [R, N, H·k], and its sum for each head [R, N, H]."""
    near = (1 + squared_distance(x, keys)).reciprocal()
    heads = near.unflatten(-1, (weight.shape[1], -1))
    total = heads.sum(dim=-1)
    return (heads * (weight[:, None] / total)[..., None]).sum(dim=2), near, total


def plain_nearness_backward(grad: Tensor, weight: Tensor, near: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of the squared distances, [R, N, H·k], and of the weights, in plain torch."""
    share = near.unflatten(-1, (weight.shape[1], -1)) / total[..., None]
    along = (grad[:, :, None] * share).sum(dim=-1)
    on_near = (weight[:, None] / total)[..., None] * (grad[:, :, None] - along[..., None])
    return -on_near.flatten(2) * near.square(), along.sum(dim=1)


def _compiled(x: Tensor, keys: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x, heads = x.contiguous(), weight.shape[1]
    near = torch.bmm(x, keys.transpose(1, 2))
    total = x.new_empty(*x.shape[:2], heads)
    out = x.new_empty(*x.shape[:2], keys.shape[1] // heads)
    lengths = keys.square().sum(dim=-1)
    _nearness(*(t.numpy() for t in (x, lengths, weight.contiguous(), near, total, out)))
    return out, near, total


def _compiled_backward(grad: Tensor, weight: Tensor, near: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    on_distance, grad_weight = torch.empty_like(near), torch.empty_like(weight)
    tensors = (grad.contiguous(), weight.contiguous(), near, total, on_distance, grad_weight)
    _nearness_backward(*(tensor.numpy() for tensor in tensors))
    return on_distance, grad_weight


# Sums may be taken in another order, so that they are vectorised.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _nearness(x, lengths, weight, near, total, out):
    """near: the products x·key on entry."""
    replicas, rows, clusters = out.shape
    one, two, zero = x.dtype.type(1), x.dtype.type(2), x.dtype.type(0)
    for r in range(replicas):
        for i in range(rows):
            square = zero
            for f in range(x.shape[2]):
                square += x[r, i, f] * x[r, i, f]
            for j in range(clusters):
                out[r, i, j] = 0
            for h in range(weight.shape[1]):
                first = h * clusters
                own = zero
                for j in range(clusters):
                    distance = square + lengths[r, first + j] - two * near[r, i, first + j]
                    # Not below zero by rounding; what is not a number stays.
                    distance = zero if distance < zero else distance
                    value = one / (one + distance)
                    near[r, i, first + j] = value
                    own += value
                total[r, i, h] = own
                scale = weight[r, h] / own
                for j in range(clusters):
                    out[r, i, j] += scale * near[r, i, first + j]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _nearness_backward(grad, weight, near, total, on_distance, grad_weight):
    replicas, rows, clusters = grad.shape
    sums = np.empty(weight.shape[1])
    for r in range(replicas):
        sums[:] = 0
        for i in range(rows):
            for h in range(weight.shape[1]):
                first = h * clusters
                along = grad.dtype.type(0)
                for j in range(clusters):
                    along += grad[r, i, j] * near[r, i, first + j]
                along /= total[r, i, h]
                sums[h] += along
                scale = weight[r, h] / total[r, i, h]
                for j in range(clusters):
                    value = near[r, i, first + j]
                    on_distance[r, i, first + j] = -scale * (grad[r, i, j] - along) * value * value
        for h in range(weight.shape[1]):
            grad_weight[r, h] = sums[h]


_operator = define(
    "nearness(Tensor x, Tensor keys, Tensor weight) -> (Tensor, Tensor, Tensor)",
    _compiled,
    plain_nearness,
    lambda x, keys, weight: (
        x.new_empty(*x.shape[:2], keys.shape[1] // weight.shape[1]),
        x.new_empty(*x.shape[:2], keys.shape[1]),
        x.new_empty(*x.shape[:2], weight.shape[1]),
    ),
)
_backward_operator = define(
    "nearness_backward(Tensor grad, Tensor weight, Tensor near, Tensor total) -> (Tensor, Tensor)",
    _compiled_backward,
    plain_nearness_backward,
    lambda grad, weight, near, total: (torch.empty_like(near), torch.empty_like(weight)),
)
