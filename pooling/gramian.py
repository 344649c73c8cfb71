"""‖SᵀS‖² for every graph, of which DiffPool's link loss is made, as one operation.

An operator of torch's (`rethinking/operators.py`): compiled loops and products on the CPU, on any other device the
plain torch form beside it, which the tests hold it against. Of a graph with fewer nodes than clusters both take
S Sᵀ, which is smaller than SᵀS and has the same eigenvalues, but for k − n zeros.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.products import from_places, places, zero_padding
from rethinking.graphs.segments import flat_rows
from rethinking.operators import define


def gramian_square(s: Tensor, start: Tensor, size: Tensor, most: int) -> Tensor:
    """s: [R, N, k]. start, size: int64 [R·B], the rows of a graph; most: no graph has more. Returns [R·B]."""
    return _GramianSquare.apply(s, start, size, most)


class _GramianSquare(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, s: Tensor, start: Tensor, size: Tensor, most: int) -> Tensor:
        squares, gramian = _operator(s, start, size, most)
        ctx.most = most
        ctx.save_for_backward(s, start, size, gramian)
        return squares

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        return _backward_operator(grad, *ctx.saved_tensors, ctx.most), None, None, None


def plain_gramian_square(s: Tensor, start: Tensor, size: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """`gramian_square` in plain torch, for any device; and S Sᵀ or SᵀS, whichever is smaller for the largest graph."""
    row, is_node = places(start, size, most)
    rows = s.flatten(0, 1)[row] * is_node[..., None]
    gramian = rows @ rows.mT if most < s.shape[-1] else rows.mT @ rows
    return gramian.square().sum(dim=(1, 2)), gramian


def plain_gramian_square_backward(
    grad: Tensor, s: Tensor, start: Tensor, size: Tensor, gramian: Tensor, most: int
) -> Tensor:
    """The gradient of s in plain torch: 4 g S SᵀS."""
    row, is_node = places(start, size, most)
    rows = s.flatten(0, 1)[row] * is_node[..., None]
    along = gramian @ rows if most < s.shape[-1] else rows @ gramian
    return from_places(4 * grad[:, None, None] * along, row, is_node, s.shape[0] * s.shape[1]).view_as(s)


def _compiled(s: Tensor, start: Tensor, size: Tensor, most: int) -> tuple[Tensor, Tensor]:
    squares, gramian = _shapes(s, start, size, most)
    _gramian_square(flat_rows(s), start.numpy(), size.numpy(), squares.numpy(), gramian.numpy())
    return squares, gramian


def _compiled_backward(grad: Tensor, s: Tensor, start: Tensor, size: Tensor, gramian: Tensor, most: int) -> Tensor:
    grad_s = torch.empty_like(s, memory_format=torch.contiguous_format)
    arrays = (tensor.numpy() for tensor in (grad.contiguous(), gramian, start, size))
    _gramian_square_backward(*arrays, flat_rows(s), flat_rows(grad_s))  # type: ignore[call-arg]
    return grad_s


@njit(cache=True, nogil=True)
def own_gramian(gramians, graph, least):
    """The memory of a graph's Gramian: the first of its place, in one piece."""
    return gramians[graph].reshape(-1)[: least * least].reshape(least, least)


@njit(cache=True, nogil=True)
def fill_gramian(rows, gramian):
    """S Sᵀ or SᵀS of one graph, the smaller one."""
    if rows.shape[0] < rows.shape[1]:
        # The library is twice as fast on a copy that is turned as on a transpose.
        np.dot(rows, np.ascontiguousarray(rows.T), gramian)
    else:
        np.dot(rows.T, rows, gramian)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _gramian_square(s, start, size, squares, gramians):
    for graph in range(len(start)):
        gramian = own_gramian(gramians, graph, min(size[graph], s.shape[1]))
        fill_gramian(s[start[graph] : start[graph] + size[graph]], gramian)
        total = s.dtype.type(0)
        for i in range(len(gramian)):
            for j in range(len(gramian)):
                total += gramian[i, j] * gramian[i, j]
        squares[graph] = total


@njit(cache=True, nogil=True)
def _gramian_square_backward(grad, gramians, start, size, s, grad_s):
    zero_padding(grad_s, start, size)
    four = s.dtype.type(4)
    for graph in range(len(start)):
        first, last = start[graph], start[graph] + size[graph]
        gramian = own_gramian(gramians, graph, min(size[graph], s.shape[1]))
        if last - first < s.shape[1]:
            np.dot(gramian, s[first:last], grad_s[first:last])
        else:
            np.dot(s[first:last], gramian, grad_s[first:last])
        slope = four * grad[graph]
        for number in range(first, last):
            for f in range(s.shape[1]):
                grad_s[number, f] *= slope


def _shapes(s: Tensor, start: Tensor, size: Tensor, most: int) -> tuple[Tensor, Tensor]:
    graphs, least = start.shape[0], min(most, s.shape[-1])
    return s.new_empty(graphs), s.new_empty(graphs, least, least)


_operator = define(
    "gramian_square(Tensor s, Tensor start, Tensor size, int most) -> (Tensor, Tensor)",
    _compiled,
    plain_gramian_square,
    _shapes,
)
_backward_operator = define(
    "gramian_square_backward(Tensor grad, Tensor s, Tensor start, Tensor size, Tensor gramian, int most) -> Tensor",
    _compiled_backward,
    plain_gramian_square_backward,
    lambda grad, s, *others: torch.empty_like(s),
)
