"""How near nodes are to keys, head by head, as one operator of torch's: the assignment of GMN before its softmax.

Compiled loops and products on the CPU, a block of nodes after another, so that what lies between a product and the next
stays in the cache; on any other device the plain torch form beside them, which the tests hold them against.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.tall import add_tall_product, tall_product
from rethinking.operators import define

# Nodes at a time: their nearness to 320 keys takes a third of a megabyte, and products are at full speed.
BLOCK = 256


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
        needs_keys = ctx.needs_input_grad[1]
        grad_x, grad_keys, grad_weight = _backward_operator(grad, *ctx.saved_tensors, needs_keys)
        return grad_x, grad_keys if needs_keys else None, grad_weight


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


def plain_nearness_backward(
    grad: Tensor, x: Tensor, keys: Tensor, weight: Tensor, near: Tensor, total: Tensor, needs_keys: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, keys and weight in plain torch; that of the keys is empty unless it is needed."""
    share = near.unflatten(-1, (weight.shape[1], -1)) / total[..., None]
    along = (grad[:, :, None] * share).sum(dim=-1)
    on_near = (weight[:, None] / total)[..., None] * (grad[:, :, None] - along[..., None])
    # Of the squared distances ‖x‖² + ‖key‖² − 2 x·key.
    on_distance = -on_near.flatten(2) * near.square()
    grad_x = 2 * (x * on_distance.sum(dim=2, keepdim=True) - on_distance @ keys)
    grad_keys = keys.new_empty(len(keys), 0, keys.shape[2])
    if needs_keys:
        grad_keys = 2 * (keys * on_distance.sum(dim=1)[..., None] - on_distance.transpose(1, 2) @ x)
    return grad_x, grad_keys, along.sum(dim=1)


def _compiled(x: Tensor, keys: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    heads = weight.shape[1]
    near, total = x.new_empty(*x.shape[:2], keys.shape[1]), x.new_empty(*x.shape[:2], heads)
    out = x.new_empty(*x.shape[:2], keys.shape[1] // heads)
    tensors = (x, keys, keys.square().sum(dim=-1), weight, near, total, out)
    _nearness(*(tensor.contiguous().numpy() for tensor in tensors))
    return out, near, total


def _compiled_backward(
    grad: Tensor, x: Tensor, keys: Tensor, weight: Tensor, near: Tensor, total: Tensor, needs_keys: bool
) -> tuple[Tensor, Tensor, Tensor]:
    grad_x, grad_weight = x.new_empty(x.shape), weight.new_empty(weight.shape)
    grad_keys = keys.new_empty(len(keys), keys.shape[1] if needs_keys else 0, keys.shape[2])
    tensors = (grad, x, keys, weight, near, total, grad_x, grad_keys, grad_weight)
    _nearness_backward(needs_keys, *(tensor.contiguous().numpy() for tensor in tensors))
    return grad_x, grad_keys, grad_weight


# Sums may be taken in another order, so that they are vectorised.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _nearness(x, keys, lengths, weight, near, total, out):
    replicas, nodes, clusters = out.shape
    one, two, zero = x.dtype.type(1), x.dtype.type(2), x.dtype.type(0)
    for r in range(replicas):
        turned = np.ascontiguousarray(keys[r].T)
        for first in range(0, nodes, BLOCK):
            last = min(first + BLOCK, nodes)
            tall_product(x[r, first:last], turned, near[r, first:last])
            for i in range(first, last):
                square = zero
                for f in range(x.shape[2]):
                    square += x[r, i, f] * x[r, i, f]
                for j in range(near.shape[2]):
                    distance = square + lengths[r, j] - two * near[r, i, j]
                    # Not below zero by rounding; what is not a number stays.
                    distance = zero if distance < zero else distance
                    near[r, i, j] = one / (one + distance)
                for j in range(clusters):
                    out[r, i, j] = zero
                for h in range(weight.shape[1]):
                    own = zero
                    for j in range(clusters):
                        own += near[r, i, h * clusters + j]
                    total[r, i, h] = own
                    scale = weight[r, h] / own
                    for j in range(clusters):
                        out[r, i, j] += scale * near[r, i, h * clusters + j]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _nearness_backward(needs_keys, grad, x, keys, weight, near, total, grad_x, grad_keys, grad_weight):
    replicas, nodes, clusters = grad.shape
    count, features = keys.shape[1:]
    two, zero = x.dtype.type(2), x.dtype.type(0)
    # The gradient of the squared distances ‖x‖² + ‖key‖² − 2 x·key.
    on_distance = np.empty((BLOCK, count), x.dtype)
    products = np.empty((count, features), x.dtype)
    # Over all nodes, in double precision.
    of_weight, of_keys = np.empty(weight.shape[1]), np.empty(count)
    for r in range(replicas):
        of_weight[:] = 0
        of_keys[:] = 0
        products[:] = zero
        for first in range(0, nodes, BLOCK):
            last = min(first + BLOCK, nodes)
            for i in range(first, last):
                for h in range(weight.shape[1]):
                    along = zero
                    for j in range(clusters):
                        along += grad[r, i, j] * near[r, i, h * clusters + j]
                    along /= total[r, i, h]
                    of_weight[h] += along
                    scale = weight[r, h] / total[r, i, h]
                    for j in range(clusters):
                        value = near[r, i, h * clusters + j]
                        on_distance[i - first, h * clusters + j] = scale * (along - grad[r, i, j]) * value * value
            block = on_distance[: last - first]
            tall_product(block, keys[r], grad_x[r, first:last])
            for i in range(first, last):
                own = zero
                for j in range(count):
                    own += block[i - first, j]
                for f in range(features):
                    grad_x[r, i, f] = two * (x[r, i, f] * own - grad_x[r, i, f])
            if needs_keys:
                add_tall_product(block, x[r, first:last], products)
                for i in range(len(block)):
                    for j in range(count):
                        of_keys[j] += block[i, j]
        for h in range(weight.shape[1]):
            grad_weight[r, h] = of_weight[h]
        if needs_keys:
            for j in range(count):
                own = x.dtype.type(of_keys[j])
                for f in range(features):
                    grad_keys[r, j, f] = two * (keys[r, j, f] * own - products[j, f])


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
    "nearness_backward(Tensor grad, Tensor x, Tensor keys, Tensor weight, Tensor near, Tensor total, bool needs_keys)"
    " -> (Tensor, Tensor, Tensor)",
    _compiled_backward,
    plain_nearness_backward,
    lambda grad, x, keys, weight, near, total, needs_keys: (
        torch.empty_like(x),
        keys.new_empty(keys.shape[0], keys.shape[1] if needs_keys else 0, keys.shape[2]),
        torch.empty_like(weight),
    ),
)
