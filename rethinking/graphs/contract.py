"""Sᵀ A S for every graph of a sparse level, with its trace and that of Sᵀ D S, as one operation.

An operator of torch's (`rethinking/operators.py`): compiled loops and products on the CPU, on any other device the
plain torch form beside it, which the tests hold it against.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.gather import sum_rows
from rethinking.graphs.products import plain_product, plain_rows, zero_padding
from rethinking.graphs.segments import Segments, flat_rows, plain_sum
from rethinking.operators import define


class Contraction(NamedTuple):
    """What is left of graphs whose nodes are put into clusters by S.

    coarse: Sᵀ A S, [R·B, k, k]. cut: tr(Sᵀ A S), the weight of the edges inside clusters, [R·B]. volume: tr(Sᵀ D S),
    that of all edges of their nodes, D the row sums of A, [R·B].
    """

    coarse: Tensor
    cut: Tensor
    volume: Tensor


def contract(
    s: Tensor, edges: Segments, start: Tensor, size: Tensor, most: int, directed: bool, complement: bool = False
) -> Contraction:
    """s: [R, N, k]. edges: whom each of the R·N rows points to. start, size: int64 [R·B], the rows of a graph; most: no
    graph has more.

    directed: whether some edge has no reverse; where none has, the derivative takes half the products. complement:
    with J − I − A in the place of A.
    """
    return Contraction(*_Contract.apply(s, edges, start, size, most, directed, complement))


class _Contract(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, s: Tensor, edges: Segments, start: Tensor, size: Tensor, most: int, directed: bool, complement: bool
    ) -> tuple[Tensor, ...]:
        *results, sums = _operator(s, edges.ptr, edges.rows, start, size, most, complement)
        ctx.save_for_backward(s, sums)
        ctx.constant = (edges.ptr, edges.row_ptr, edges.row_segments, start, size, most, directed, complement)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _backward_operator(*grads, *ctx.saved_tensors, *ctx.constant), None, None, None, None, None, None


def plain_contract(
    s: Tensor, ptr: Tensor, rows: Tensor, start: Tensor, size: Tensor, most: int, complement: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`contract` in plain torch, for any device; and A S, [R, N, k]."""
    sums = _neighbours(s, ptr, rows, start, size, most, complement)
    degree = _neighbours(torch.ones_like(s[..., :1]), ptr, rows, start, size, most, complement)
    coarse = plain_product(s, sums, start, size, most)
    volume = plain_product(degree, s.square().sum(dim=-1, keepdim=True), start, size, most)
    return coarse, coarse.diagonal(dim1=1, dim2=2).sum(dim=1), volume.flatten(), sums


def plain_contract_backward(
    grad: Tensor,
    grad_cut: Tensor,
    grad_volume: Tensor,
    s: Tensor,
    sums: Tensor,
    ptr: Tensor,
    row_ptr: Tensor,
    row_segments: Tensor,
    start: Tensor,
    size: Tensor,
    most: int,
    directed: bool,
    complement: bool,
) -> Tensor:
    """The gradient of s in plain torch: A S Gᵀ + Aᵀ S G + 2 v D S, G with the gradient of the cut on its diagonal."""
    one = torch.eye(s.shape[-1], dtype=s.dtype, device=s.device)
    grad = grad + grad_cut[:, None, None] * one
    pointing = _neighbours(plain_rows(s, grad, start, size, most), row_ptr, row_segments, start, size, most, complement)
    degree = (ptr.diff()).to(s.dtype).view(*s.shape[:2], 1)
    if complement:
        degree = plain_rows(torch.ones_like(degree), (size - 1).to(s.dtype)[:, None, None], start, size, most) - degree
    volumes = plain_rows(s, 2 * grad_volume[:, None, None] * one, start, size, most)
    return plain_rows(sums, grad.mT, start, size, most) + pointing + degree * volumes


def _neighbours(
    x: Tensor, ptr: Tensor, rows: Tensor, start: Tensor, size: Tensor, most: int, complement: bool
) -> Tensor:
    """A X, or (J − I − A) X; zero in padding rows."""
    sums = plain_sum(x, ptr, rows).view_as(x)
    if not complement:
        return sums
    ones = torch.ones_like(x[..., :1])
    everyone = plain_rows(ones, plain_product(ones, x, start, size, most), start, size, most)
    own = plain_rows(
        x, torch.eye(x.shape[-1], dtype=x.dtype, device=x.device).expand(len(start), -1, -1), start, size, most
    )
    return everyone - own - sums


def _compiled(
    s: Tensor, ptr: Tensor, rows: Tensor, start: Tensor, size: Tensor, most: int, complement: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    k = s.shape[-1]
    coarse, cut, volume = s.new_empty(len(start), k, k), s.new_empty(len(start)), s.new_empty(len(start))
    sums = torch.empty_like(s, memory_format=torch.contiguous_format)
    arrays = (tensor.numpy() for tensor in (ptr, rows, start, size))
    results = (tensor.numpy() for tensor in (coarse, cut, volume))
    _contract(flat_rows(s), *arrays, complement, *results, flat_rows(sums))  # type: ignore[call-arg]
    return coarse, cut, volume, sums


def _compiled_backward(
    grad: Tensor,
    grad_cut: Tensor,
    grad_volume: Tensor,
    s: Tensor,
    sums: Tensor,
    ptr: Tensor,
    row_ptr: Tensor,
    row_segments: Tensor,
    start: Tensor,
    size: Tensor,
    most: int,
    directed: bool,
    complement: bool,
) -> Tensor:
    grad_s = torch.empty_like(s, memory_format=torch.contiguous_format)
    grads = (tensor.contiguous().numpy() for tensor in (grad, grad_cut, grad_volume))
    arrays = (tensor.numpy() for tensor in (ptr, row_ptr, row_segments, start, size))
    rows = (flat_rows(tensor) for tensor in (s, sums, grad_s))
    _contract_backward(*grads, *rows, *arrays, directed, complement)  # type: ignore[call-arg]
    return grad_s


# In all loops a row is taken out first, and a loop has one statement: the compiler vectorises these.
@njit(cache=True, nogil=True)
def _sum_over(x, first, last, ptr, rows, complement, out):
    """A X for the rows of one graph, or (J − I − A) X; out: its rows alone."""
    width = x.shape[1]
    everyone = np.zeros(width, x.dtype)
    if complement:
        for number in range(first, last):
            row = x[number]
            for f in range(width):
                everyone[f] += row[f]
    for number in range(first, last):
        row, total = x[number], out[number - first]
        sum_rows(x, rows, 0, ptr[number], ptr[number + 1], total)
        if complement:
            for f in range(width):
                total[f] = everyone[f] - row[f] - total[f]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _contract(s, ptr, rows, start, size, complement, coarse, cut, volume, sums):
    k = s.shape[1]
    for graph in range(len(start)):
        first, last = start[graph], start[graph] + size[graph]
        _sum_over(s, first, last, ptr, rows, complement, sums[first:last])
        inside, whole = 0.0, 0.0
        for row in range(first, last):
            along, square, own, total = s.dtype.type(0), s.dtype.type(0), s[row], sums[row]
            for f in range(k):
                along += own[f] * total[f]
            for f in range(k):
                square += own[f] * own[f]
            inside += along
            whole += _degree(row, ptr, size[graph], complement) * square
        cut[graph], volume[graph] = inside, whole
        np.dot(s[first:last].T, sums[first:last], coarse[graph])


@njit(cache=True, nogil=True)
def _degree(row, ptr, nodes, complement):
    edges = ptr[row + 1] - ptr[row]
    return nodes - 1 - edges if complement else edges


@njit(cache=True, nogil=True)
def _contract_backward(
    grad, grad_cut, grad_volume, s, sums, grad_s, ptr, row_ptr, row_segments, start, size, directed, complement
):
    k, two = s.shape[1], s.dtype.type(2)
    largest = max(size) if directed else 0
    matrix, turned = np.empty((k, k), s.dtype), np.empty((k, k), s.dtype)
    products, pointing = np.empty((len(s) if directed else 0, k), s.dtype), np.empty((largest, k), s.dtype)
    zero_padding(grad_s, start, size)
    for graph in range(len(start)):
        first, last = start[graph], start[graph] + size[graph]
        # Where A is symmetric, Aᵀ S G is A S G.
        for i in range(k):
            for j in range(k):
                turned[i, j] = grad[graph, j, i]
            if directed:
                for j in range(k):
                    matrix[i, j] = grad[graph, i, j]
            else:
                for j in range(k):
                    turned[i, j] += grad[graph, i, j]
        for i in range(k):
            turned[i, i] += grad_cut[graph] if directed else two * grad_cut[graph]
            matrix[i, i] += grad_cut[graph]
        np.dot(sums[first:last], turned, grad_s[first:last])
        if directed:
            np.dot(s[first:last], matrix, products[first:last])
            _sum_over(products, first, last, row_ptr, row_segments, complement, pointing)
            for row in range(first, last):
                on_row, add = grad_s[row], pointing[row - first]
                for f in range(k):
                    on_row[f] += add[f]
        for row in range(first, last):
            share = two * grad_volume[graph] * s.dtype.type(_degree(row, ptr, size[graph], complement))
            on_row, own = grad_s[row], s[row]
            for f in range(k):
                on_row[f] += share * own[f]


def _shapes(s: Tensor, ptr: Tensor, rows: Tensor, start: Tensor, *others: Any) -> tuple[Tensor, ...]:
    graphs, k = start.shape[0], s.shape[-1]
    return s.new_empty(graphs, k, k), s.new_empty(graphs), s.new_empty(graphs), torch.empty_like(s)


_operator = define(
    "contract(Tensor s, Tensor ptr, Tensor rows, Tensor start, Tensor size, int most, bool complement)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
    _compiled,
    plain_contract,
    _shapes,
)
_backward_operator = define(
    "contract_backward(Tensor grad, Tensor grad_cut, Tensor grad_volume, Tensor s, Tensor sums, Tensor ptr,"
    " Tensor row_ptr, Tensor row_segments, Tensor start, Tensor size, int most, bool directed, bool complement)"
    " -> Tensor",
    _compiled_backward,
    plain_contract_backward,
    lambda grad, grad_cut, grad_volume, s, *others: torch.empty_like(s),
)
