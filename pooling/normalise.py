"""MinCutPool's coarse graphs: without loops, divided by the square roots of their degrees, as one operation.

An operator of torch's (`rethinking/operators.py`): compiled loops on the CPU, on any other device the plain torch form
beside it, which the tests hold it against.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.operators import define

# Stands in for the degree of a node without edges: far below those that occur, and yet its inverse can be
# multiplied over several levels in single precision.
TINY = 1e-12


def normalise(adjacency: Tensor) -> Tensor:
    """D^−1/2 A D^−1/2, A without its diagonal (MinCutPool's Connect). adjacency: [R, B, k, k].

    The degrees D are row sums, as in PyG's `dense_mincut_pool`. A cluster that receives nothing has no weight to
    share: its row is zero, and in a directed graph its column need not be.
    """
    return _Normalise.apply(adjacency)


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, adjacency: Tensor) -> Tensor:
        out, scale = _operator(adjacency)
        ctx.save_for_backward(out, scale)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _backward_operator(grad, *ctx.saved_tensors)


def plain_normalise(adjacency: Tensor) -> tuple[Tensor, Tensor]:
    """`normalise` in plain torch, for any device; and the scale of each cluster, [R, B, k]."""
    one = torch.eye(adjacency.shape[-1], dtype=torch.bool, device=adjacency.device)
    adjacency = adjacency.masked_fill(one, 0)
    degree = adjacency.sum(dim=-1)
    # Not from zero, where the root has no gradient.
    scale = degree.clamp(min=TINY).rsqrt() * (degree > TINY)
    return adjacency * scale[..., None, :] * scale[..., :, None], scale


def plain_normalise_backward(grad: Tensor, out: Tensor, scale: Tensor) -> Tensor:
    """The gradient of `normalise` in plain torch."""
    along = grad * out
    # d scale / d degree is −scale³ / 2, and each scale multiplies a row and a column.
    degree = -(along.sum(dim=-1) + along.sum(dim=-2)) * scale.square() / 2
    one = torch.eye(out.shape[-1], dtype=torch.bool, device=out.device)
    return (grad * scale[..., None, :] * scale[..., :, None] + degree[..., None]).masked_fill(one, 0)


def _compiled(adjacency: Tensor) -> tuple[Tensor, Tensor]:
    out, scale = adjacency.new_empty(adjacency.shape), adjacency.new_empty(adjacency.shape[:-1])
    arrays = (tensor.contiguous().flatten(0, 1).numpy() for tensor in (adjacency, out, scale))
    _normalise(*arrays)
    return out, scale


def _compiled_backward(grad: Tensor, out: Tensor, scale: Tensor) -> Tensor:
    grad_adjacency = out.new_empty(out.shape)
    arrays = (tensor.contiguous().flatten(0, 1).numpy() for tensor in (grad, out, scale, grad_adjacency))
    _normalise_backward(*arrays)
    return grad_adjacency


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _normalise(adjacency, out, scale):
    graphs, k = scale.shape
    zero, one = adjacency.dtype.type(0), adjacency.dtype.type(1)
    for graph in range(graphs):
        for i in range(k):
            degree = zero
            for j in range(i):
                degree += adjacency[graph, i, j]
            for j in range(i + 1, k):
                degree += adjacency[graph, i, j]
            # What is not a number stays.
            scale[graph, i] = zero if degree <= TINY else one / np.sqrt(degree)
        for i in range(k):
            own = scale[graph, i]
            for j in range(k):
                out[graph, i, j] = adjacency[graph, i, j] * own * scale[graph, j]
            out[graph, i, i] = zero


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _normalise_backward(grad, out, scale, grad_adjacency):
    graphs, k = scale.shape
    on_degree, half = np.empty(k, grad.dtype), grad.dtype.type(-0.5)
    for graph in range(graphs):
        for i in range(k):
            on_degree[i] = 0
        for i in range(k):
            for j in range(k):
                on_degree[j] += grad[graph, i, j] * out[graph, i, j]
            along = grad.dtype.type(0)
            for j in range(k):
                along += grad[graph, i, j] * out[graph, i, j]
            on_degree[i] += along
        for i in range(k):
            own = scale[graph, i]
            shared = half * own * own * on_degree[i]
            for j in range(k):
                grad_adjacency[graph, i, j] = grad[graph, i, j] * own * scale[graph, j] + shared
            grad_adjacency[graph, i, i] = 0


_operator = define(
    "normalise(Tensor adjacency) -> (Tensor, Tensor)",
    _compiled,
    plain_normalise,
    lambda adjacency: (adjacency.new_empty(adjacency.shape), adjacency.new_empty(adjacency.shape[:-1])),
)
_backward_operator = define(
    "normalise_backward(Tensor grad, Tensor out, Tensor scale) -> Tensor",
    _compiled_backward,
    plain_normalise_backward,
    lambda grad, out, scale: out.new_empty(out.shape),
)
