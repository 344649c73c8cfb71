"""Products over the nodes of each graph, aᵀ b, without padding: a graph's rows lie together.

An operator of torch's (`rethinking/operators.py`): compiled products on the CPU, on any other device the plain torch
form beside it, which the tests hold it against.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.matrices import as_it_lies
from rethinking.graphs.segments import flat_rows
from rethinking.operators import define


def graph_product(a: Tensor, b: Tensor, start: Tensor, size: Tensor, most: int) -> Tensor:
    """aᵀ b for every graph. a: [R, N, F], b: [R, N, G]. Returns [R·B, F, G].

    start, size: int64 [R·B], the rows of a graph. most: no graph has more.
    """
    return _GraphProduct.apply(a, b, start, size, most)


class _GraphProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, start: Tensor, size: Tensor, most: int) -> Tensor:
        ctx.save_for_backward(a, b, start, size)
        ctx.most = most
        return _operator(a, b, start, size, most)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        a, b, start, size = ctx.saved_tensors
        # d(aᵀ b): b gradᵀ for a, a grad for b.
        grad_a = _rows_operator(b, grad.transpose(1, 2), start, size, ctx.most) if ctx.needs_input_grad[0] else None
        grad_b = _rows_operator(a, grad, start, size, ctx.most) if ctx.needs_input_grad[1] else None
        return grad_a, grad_b, None, None, None


def plain_product(a: Tensor, b: Tensor, start: Tensor, size: Tensor, most: int) -> Tensor:
    """`graph_product` in plain torch, for any device."""
    row, is_node = places(start, size, most)
    a, b = (x.flatten(0, 1)[row] * is_node[..., None] for x in (a, b))
    return a.transpose(1, 2) @ b


def plain_rows(x: Tensor, matrices: Tensor, start: Tensor, size: Tensor, most: int) -> Tensor:
    """x · the matrix of its graph, for each row, zero in padding rows. x: [R, N, F]. matrices: [R·B, F, G]."""
    row, is_node = places(start, size, most)
    products = x.flatten(0, 1)[row] @ matrices
    return from_places(products, row, is_node, x.shape[0] * x.shape[1]).view(*x.shape[:2], -1)


def places(start: Tensor, size: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Which row is node i of graph g, [R·B, most], the graph's first one where there is none; and whether there is.

    So that nothing of another replica gets there: zero times what is not a number is none.
    """
    place = torch.arange(most, device=size.device)[None]
    is_node = place < size[:, None]
    return torch.where(is_node, start[:, None] + place, start[:, None]), is_node


def from_places(x: Tensor, row: Tensor, is_node: Tensor, rows: int) -> Tensor:
    """x: [R·B, most, F], by `places`. Returns [rows, F], zero in padding rows."""
    # One row more takes what is no node: choosing the others would ask the device how many they are.
    target = torch.where(is_node, row, rows).flatten()
    return x.new_zeros(rows + 1, x.shape[-1]).index_copy(0, target, x.flatten(0, 1))[:-1]


def _compiled_product(a: Tensor, b: Tensor, start: Tensor, size: Tensor, most: int) -> Tensor:
    out = a.new_empty(len(start), a.shape[-1], b.shape[-1])
    _product(flat_rows(a), flat_rows(b), start.numpy(), size.numpy(), out.numpy())
    return out


def _compiled_rows(x: Tensor, matrices: Tensor, start: Tensor, size: Tensor, most: int) -> Tensor:
    out = x.new_empty(*x.shape[:2], matrices.shape[2])
    _rows(flat_rows(x), *as_it_lies(matrices), start.numpy(), size.numpy(), flat_rows(out))
    return out


@njit(cache=True, nogil=True)
def _product(a, b, start, size, out):
    for graph in range(len(start)):
        first, last = start[graph], start[graph] + size[graph]
        np.dot(a[first:last].T, b[first:last], out[graph])


@njit(cache=True, nogil=True)
def _rows(x, matrices, turn, start, size, out):
    zero_padding(out, start, size)
    for graph in range(len(start)):
        first, last = start[graph], start[graph] + size[graph]
        # The library is twice as fast on a copy that is turned as on a transpose.
        matrix = np.ascontiguousarray(matrices[graph].T) if turn else matrices[graph]
        np.dot(x[first:last], matrix, out[first:last])


@njit(cache=True, nogil=True)
def zero_padding(rows, start, size):
    """Zeros in the rows that are of no graph; the graphs lie one behind another."""
    end = 0
    for graph in range(len(start)):
        rows[end : start[graph]] = 0
        end = start[graph] + size[graph]
    rows[end:] = 0


_operator = define(
    "graph_product(Tensor a, Tensor b, Tensor start, Tensor size, int most) -> Tensor",
    _compiled_product,
    plain_product,
    lambda a, b, start, *others: a.new_empty(start.shape[0], a.shape[-1], b.shape[-1]),
)
_rows_operator = define(
    "graph_rows_product(Tensor x, Tensor matrices, Tensor start, Tensor size, int most) -> Tensor",
    _compiled_rows,
    plain_rows,
    lambda x, matrices, *others: x.new_empty(*x.shape[:2], matrices.shape[2]),
)
