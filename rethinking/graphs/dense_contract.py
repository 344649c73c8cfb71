"""Sᵀ A S for every graph of a dense level, with its trace and that of Sᵀ D S, as one operation.

As `contract`, for A as a matrix, which may have a gradient.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.contract import Contraction
from rethinking.operators import define


def dense_contract(s: Tensor, adjacency: Tensor, directed: bool) -> Contraction:
    """s: [G, n, k], of G graphs. adjacency: [G, n, n]. directed: whether some A is not symmetric."""
    return Contraction(*_Contract.apply(s, adjacency, directed))


class _Contract(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, s: Tensor, adjacency: Tensor, directed: bool) -> tuple[Tensor, ...]:
        *results, sums = _operator(s, adjacency)
        ctx.save_for_backward(s, adjacency, sums)
        ctx.directed = directed
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        grad_s, grad_adjacency = _backward_operator(*grads, *ctx.saved_tensors, ctx.directed)
        needs_s, needs_adjacency, _ = ctx.needs_input_grad
        return grad_s if needs_s else None, grad_adjacency if needs_adjacency else None, None


def plain_contract(s: Tensor, adjacency: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`dense_contract` in plain torch, for any device; and A S, [G, n, k]."""
    sums = adjacency @ s
    coarse = s.mT @ sums
    volume = (adjacency.sum(dim=2) * s.square().sum(dim=2)).sum(dim=1)
    return coarse, coarse.diagonal(dim1=1, dim2=2).sum(dim=1), volume, sums


def plain_contract_backward(
    grad: Tensor, grad_cut: Tensor, grad_volume: Tensor, s: Tensor, adjacency: Tensor, sums: Tensor, directed: bool
) -> tuple[Tensor, Tensor]:
    """The gradients of s and A in plain torch, G with the gradient of the cut on its diagonal.

    A S Gᵀ + Aᵀ S G + 2 v D S; S G Sᵀ, and in each row v times the square of the row of S.
    """
    grad = grad + grad_cut[:, None, None] * torch.eye(s.shape[2], dtype=s.dtype, device=s.device)
    products, share = s @ grad, grad_volume[:, None, None]
    grad_s = sums @ grad.mT + adjacency.mT @ products + 2 * share * adjacency.sum(dim=2, keepdim=True) * s
    return grad_s, products @ s.mT + share * s.square().sum(dim=2, keepdim=True)


def _compiled(s: Tensor, adjacency: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    graphs, _, k = s.shape
    results = s.new_empty(graphs, k, k), s.new_empty(graphs), s.new_empty(graphs), s.new_empty(s.shape)
    arrays = (tensor.contiguous().numpy() for tensor in (s, adjacency))
    _contract(*arrays, *(tensor.numpy() for tensor in results))
    return results


def _compiled_backward(
    grad: Tensor, grad_cut: Tensor, grad_volume: Tensor, s: Tensor, adjacency: Tensor, sums: Tensor, directed: bool
) -> tuple[Tensor, Tensor]:
    grads = s.new_empty(s.shape), s.new_empty(adjacency.shape)
    given = (grad, grad_cut, grad_volume, s, adjacency, sums)
    arrays = (tensor.contiguous().numpy() for tensor in given)
    _contract_backward(*arrays, directed, *(tensor.numpy() for tensor in grads))  # type: ignore[call-arg]
    return grads


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _contract(s, adjacency, coarse, cut, volume, sums):
    graphs, nodes, k = s.shape
    for graph in range(graphs):
        np.dot(adjacency[graph], s[graph], sums[graph])
        np.dot(s[graph].T, sums[graph], coarse[graph])
        inside, whole = 0.0, 0.0
        for i in range(k):
            inside += coarse[graph, i, i]
        for i in range(nodes):
            degree, square = s.dtype.type(0), s.dtype.type(0)
            for j in range(nodes):
                degree += adjacency[graph, i, j]
            for f in range(k):
                square += s[graph, i, f] * s[graph, i, f]
            whole += degree * square
        cut[graph], volume[graph] = inside, whole


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _contract_backward(grad, grad_cut, grad_volume, s, adjacency, sums, directed, grad_s, grad_adjacency):
    graphs, nodes, k = s.shape
    matrix, turned = np.empty((k, k), s.dtype), np.empty((k, k), s.dtype)
    products, pointing = np.empty((nodes, k), s.dtype), np.zeros((nodes, k), s.dtype)
    for graph in range(graphs):
        for i in range(k):
            for j in range(k):
                matrix[i, j] = grad[graph, i, j]
            matrix[i, i] += grad_cut[graph]
        # Where A is symmetric, Aᵀ S G is A S G.
        for i in range(k):
            for j in range(k):
                turned[i, j] = matrix[j, i]
            if not directed:
                for j in range(k):
                    turned[i, j] += matrix[i, j]
        np.dot(sums[graph], turned, grad_s[graph])
        np.dot(s[graph], matrix, products)
        # The library is twice as fast on a copy that is turned as on a transpose.
        np.dot(products, np.ascontiguousarray(s[graph].T), grad_adjacency[graph])
        if directed:
            np.dot(adjacency[graph].T, products, pointing)
        for i in range(nodes):
            degree, square = s.dtype.type(0), s.dtype.type(0)
            for j in range(nodes):
                degree += adjacency[graph, i, j]
            for f in range(k):
                square += s[graph, i, f] * s[graph, i, f]
            square *= grad_volume[graph]
            for j in range(nodes):
                grad_adjacency[graph, i, j] += square
            degree *= grad_volume[graph] + grad_volume[graph]
            for f in range(k):
                grad_s[graph, i, f] += pointing[i, f] + degree * s[graph, i, f]


_operator = define(
    "dense_contract(Tensor s, Tensor adjacency) -> (Tensor, Tensor, Tensor, Tensor)",
    _compiled,
    plain_contract,
    lambda s, adjacency: (
        s.new_empty(s.shape[0], s.shape[2], s.shape[2]),
        s.new_empty(s.shape[0]),
        s.new_empty(s.shape[0]),
        s.new_empty(s.shape),
    ),
)
_backward_operator = define(
    "dense_contract_backward(Tensor grad, Tensor grad_cut, Tensor grad_volume, Tensor s, Tensor adjacency, Tensor sums,"
    " bool directed) -> (Tensor, Tensor)",
    _compiled_backward,
    plain_contract_backward,
    lambda grad, grad_cut, grad_volume, s, adjacency, *others: (
        s.new_empty(s.shape),
        adjacency.new_empty(adjacency.shape),
    ),
)
