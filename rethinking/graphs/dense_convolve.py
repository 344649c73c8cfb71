"""[X | A X] W + b on dense levels, A as a matrix: a graph convolution as one operation, replica after replica.

As `convolve`, for A that may have a gradient.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.operators import define


def dense_convolve(x: Tensor, adjacency: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x: [R, B·n, F]. adjacency: [R, B, n, n]. weight: [R, 2·F, G], that of a node above that of the others.

    bias: [R, 1, G]. Returns [R, B·n, G].
    """
    return _Convolve.apply(x, adjacency, weight, bias)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, adjacency: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        out, sums = _operator(x, adjacency, weight, bias)
        ctx.save_for_backward(x, adjacency, weight, sums)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grads = _backward_operator(grad, *ctx.saved_tensors, ctx.needs_input_grad[1])
        return tuple(grad if needs else None for grad, needs in zip(grads, ctx.needs_input_grad, strict=True))


def plain_convolve(x: Tensor, adjacency: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """`dense_convolve` in plain torch, for any device; and A X, [R, B·n, F]."""
    sums = (adjacency @ x.unflatten(1, adjacency.shape[1:3])).flatten(1, 2)
    return torch.baddbmm(bias, torch.cat([x, sums], dim=2), weight), sums


def plain_convolve_backward(
    grad: Tensor, x: Tensor, adjacency: Tensor, weight: Tensor, sums: Tensor, needs_adjacency: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of x, A, weight and bias in plain torch; that of A is empty unless it is needed."""
    graphs = adjacency.shape[1:3]
    on_own, on_sums = (grad @ weight.mT).chunk(2, dim=2)
    on_sums = on_sums.unflatten(1, graphs)
    grad_x = on_own + (adjacency.mT @ on_sums).flatten(1, 2)
    grad_weight = torch.cat([x, sums], dim=2).mT @ grad
    empty = adjacency.new_empty(len(x), 0, *graphs[1:], graphs[1])
    grad_adjacency = on_sums @ x.unflatten(1, graphs).mT if needs_adjacency else empty
    return grad_x, grad_adjacency, grad_weight, grad.sum(dim=1, keepdim=True)


def _compiled(x: Tensor, adjacency: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    out, sums = x.new_empty(*x.shape[:2], weight.shape[2]), x.new_empty(x.shape)
    arrays = (tensor.contiguous().numpy() for tensor in (x, adjacency, weight, bias))
    _convolve(*arrays, out.numpy(), sums.numpy())  # type: ignore[call-arg]
    return out, sums


def _compiled_backward(
    grad: Tensor, x: Tensor, adjacency: Tensor, weight: Tensor, sums: Tensor, needs_adjacency: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    replicas, graphs, nodes, _ = adjacency.shape
    grads = (
        x.new_empty(x.shape),
        x.new_empty(replicas, graphs if needs_adjacency else 0, nodes, nodes),
        x.new_empty(weight.shape),
        x.new_empty(replicas, 1, weight.shape[2]),
    )
    arrays = (tensor.contiguous().numpy() for tensor in (grad, x, adjacency, weight, sums))
    _convolve_backward(*arrays, needs_adjacency, *(tensor.numpy() for tensor in grads))  # type: ignore[call-arg]
    return grads


@njit(cache=True, nogil=True)
def _convolve(x, adjacency, weight, bias, out, sums):
    replicas, rows, features = x.shape
    graphs, nodes = adjacency.shape[1:3]
    other = np.empty((rows, out.shape[2]), x.dtype)
    for r in range(replicas):
        for graph in range(graphs):
            first, last = graph * nodes, (graph + 1) * nodes
            np.dot(adjacency[r, graph], x[r, first:last], sums[r, first:last])
        np.dot(x[r], weight[r, :features], out[r])
        np.dot(sums[r], weight[r, features:], other)
        for i in range(rows):
            for f in range(out.shape[2]):
                out[r, i, f] += other[i, f] + bias[r, 0, f]


@njit(cache=True, nogil=True)
def _convolve_backward(
    grad, x, adjacency, weight, sums, needs_adjacency, grad_x, grad_adjacency, grad_weight, grad_bias
):
    replicas, rows, features = x.shape
    graphs, nodes = adjacency.shape[1:3]
    on_sums, pointed = np.empty((rows, features), x.dtype), np.empty((nodes, features), x.dtype)
    for r in range(replicas):
        for f in range(grad.shape[2]):
            grad_bias[r, 0, f] = 0
        for i in range(rows):
            for f in range(grad.shape[2]):
                grad_bias[r, 0, f] += grad[r, i, f]
        np.dot(x[r].T, grad[r], grad_weight[r, :features])
        np.dot(sums[r].T, grad[r], grad_weight[r, features:])
        # The library is twice as fast on a copy that is turned as on a transpose.
        np.dot(grad[r], np.ascontiguousarray(weight[r, :features].T), grad_x[r])
        np.dot(grad[r], np.ascontiguousarray(weight[r, features:].T), on_sums)
        for graph in range(graphs):
            first, last = graph * nodes, (graph + 1) * nodes
            np.dot(adjacency[r, graph].T, on_sums[first:last], pointed)
            for i in range(nodes):
                for f in range(features):
                    grad_x[r, first + i, f] += pointed[i, f]
            if needs_adjacency:
                np.dot(on_sums[first:last], np.ascontiguousarray(x[r, first:last].T), grad_adjacency[r, graph])


_operator = define(
    "dense_convolve(Tensor x, Tensor adjacency, Tensor weight, Tensor bias) -> (Tensor, Tensor)",
    _compiled,
    plain_convolve,
    lambda x, adjacency, weight, bias: (x.new_empty(*x.shape[:2], weight.shape[2]), x.new_empty(x.shape)),
)
_backward_operator = define(
    "dense_convolve_backward(Tensor grad, Tensor x, Tensor adjacency, Tensor weight, Tensor sums, bool needs_adjacency)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
    _compiled_backward,
    plain_convolve_backward,
    lambda grad, x, adjacency, weight, sums, needs_adjacency: (
        x.new_empty(x.shape),
        x.new_empty(
            adjacency.shape[0], adjacency.shape[1] if needs_adjacency else 0, adjacency.shape[2], adjacency.shape[2]
        ),
        x.new_empty(weight.shape),
        x.new_empty(x.shape[0], 1, weight.shape[2]),
    ),
)
