"""Weighted means over a cluster's neighbours, with the cluster or without it, by a matrix of weights for each graph.

An operator of torch's (`rethinking/operators.py`): compiled loops and products on the CPU, on any other device the
plain torch form beside it, which the tests hold it against.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.operators import define


def dense_mean(adjacency: Tensor, x: Tensor, own: bool) -> Tensor:
    """A X / max(row sums of A, 1) for every graph. adjacency: [R, B, k, k]. x: [R, B·k, F]. Returns [R, B·k, F].

    own: with the diagonal of A set to one.
    """
    return _DenseMean.apply(adjacency, x, own)


class _DenseMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, adjacency: Tensor, x: Tensor, own: bool) -> Tensor:
        out, degree = _operator(adjacency, x, own)
        ctx.save_for_backward(adjacency, x, out, degree)
        ctx.own = own
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:
        needed = ctx.needs_input_grad[0]
        grad_adjacency, grad_x = _backward_operator(grad, *ctx.saved_tensors, ctx.own, needed)
        return grad_adjacency if needed else None, grad_x, None


def plain_dense_mean(adjacency: Tensor, x: Tensor, own: bool) -> tuple[Tensor, Tensor]:
    """`dense_mean` in plain torch, and the sums of rows, [R, B, k]."""
    if own:
        adjacency = adjacency - torch.diag_embed(adjacency.diagonal(dim1=-2, dim2=-1) - 1)
    degree = adjacency.sum(dim=-1)
    means = adjacency @ x.view(*degree.shape, -1) / degree.clamp(min=1)[..., None]
    return means.view_as(x), degree


def plain_dense_mean_backward(
    grad: Tensor, adjacency: Tensor, x: Tensor, out: Tensor, degree: Tensor, own: bool, needs_adjacency: bool
) -> tuple[Tensor, Tensor]:
    """The gradients of the adjacency, empty unless it is needed, and of x in plain torch."""
    grad, x, out = (value.reshape(*degree.shape, -1) for value in (grad, x, out))
    diagonal = adjacency.diagonal(dim1=-2, dim2=-1)
    matrix = adjacency - torch.diag_embed(diagonal - 1) if own else adjacency
    grad = grad / degree.clamp(min=1)[..., None]
    grad_x = (matrix.transpose(-1, -2) @ grad).flatten(1, 2)
    if not needs_adjacency:
        return adjacency.new_empty(0), grad_x
    along = (grad * out).sum(dim=-1, keepdim=True) * (degree >= 1)[..., None]
    grad_adjacency = grad @ x.transpose(-1, -2) - along
    if own:
        grad_adjacency = grad_adjacency * (1 - torch.eye(adjacency.shape[-1], device=x.device, dtype=x.dtype))
    return grad_adjacency, grad_x


def _compiled(adjacency: Tensor, x: Tensor, own: bool) -> tuple[Tensor, Tensor]:
    out, degree = x.new_empty(x.shape), x.new_empty(adjacency.shape[:3])
    _mean(*_matrices(adjacency, x, out, degree), own)  # type: ignore[call-arg]
    return out, degree


def _compiled_backward(
    grad: Tensor, adjacency: Tensor, x: Tensor, out: Tensor, degree: Tensor, own: bool, needs_adjacency: bool
) -> tuple[Tensor, Tensor]:
    grad_x = x.new_empty(x.shape)
    grad_adjacency = x.new_empty(adjacency.shape if needs_adjacency else 0)
    arrays = _matrices(adjacency, x, out, degree, grad, grad_x)
    to = grad_adjacency.view(-1, *adjacency.shape[2:]).numpy()
    _mean_backward(*arrays, to, own)  # type: ignore[call-arg]
    return grad_adjacency, grad_x


def _matrices(adjacency: Tensor, x: Tensor, out: Tensor, degree: Tensor, *more: Tensor) -> list[np.ndarray]:
    """Arrays with an entry for each graph."""
    k = adjacency.shape[2]
    rows = (value.contiguous().view(-1, k, x.shape[2]).numpy() for value in (x, out, *more))
    first, second, *rest = rows
    return [adjacency.contiguous().view(-1, k, k).numpy(), first, second, degree.view(-1, k).numpy(), *rest]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _mean(adjacency, x, out, degree, own):
    graphs, k, features = x.shape
    number = x.dtype.type
    for g in range(graphs):
        a, rows, means = adjacency[g], x[g], out[g]
        np.dot(a, rows, means)
        for i in range(k):
            total = number(0)
            for j in range(k):
                total += a[i, j]
            to_one = number(1) - a[i, i] if own else number(0)
            total += to_one
            degree[g, i] = total
            share = number(1) / (number(1) if total < number(1) else total)
            for f in range(features):
                means[i, f] = (means[i, f] + to_one * rows[i, f]) * share


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _mean_backward(adjacency, x, out, degree, grad, grad_x, grad_adjacency, own):
    graphs, k, features = x.shape
    number = x.dtype.type
    # One column more: what every neighbour's weight changes by way of the sum that is divided by.
    shared, wider = np.empty((k, features), x.dtype), np.empty((k, features + 1), x.dtype)
    turned = np.ones((features + 1, k), x.dtype)
    for g in range(graphs):
        a, rows, means, given, back = adjacency[g], x[g], out[g], grad[g], grad_x[g]
        for i in range(k):
            total = degree[g, i]
            share = number(1) / (number(1) if total < number(1) else total)
            product = number(0)
            for f in range(features):
                value = given[i, f] * share
                shared[i, f] = value
                wider[i, f] = value
                product += value * means[i, f]
            wider[i, features] = number(0) if total < number(1) else -product
        np.dot(a.T, shared, back)
        if own:
            for i in range(k):
                to_one = number(1) - a[i, i]
                for f in range(features):
                    back[i, f] += to_one * shared[i, f]
        if len(grad_adjacency):
            on_a = grad_adjacency[g]
            turned[:features] = rows.T
            np.dot(wider, turned, on_a)
            if own:
                for i in range(k):
                    on_a[i, i] = number(0)


_operator = define(
    "dense_mean(Tensor adjacency, Tensor x, bool own) -> (Tensor, Tensor)",
    _compiled,
    plain_dense_mean,
    lambda adjacency, x, own: (x.new_empty(x.shape), x.new_empty(adjacency.shape[:3])),
)
_backward_operator = define(
    "dense_mean_backward(Tensor grad, Tensor adjacency, Tensor x, Tensor out, Tensor degree, bool own,"
    " bool needs_adjacency) -> (Tensor, Tensor)",
    _compiled_backward,
    plain_dense_mean_backward,
    lambda grad, adjacency, x, out, degree, own, needs_adjacency: (
        x.new_empty(adjacency.shape if needs_adjacency else (0,)),
        x.new_empty(x.shape),
    ),
)
