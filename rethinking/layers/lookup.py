"""Sums of rows of a table, as one operator of torch's: embeddings of categorical features.

Compiled loops on the CPU, replica after replica so that its table stays in the cache; on any other device the plain
torch form beside them, which the tests hold them against.
"""

from typing import Any

import torch
from numba import njit
from torch import Tensor

from rethinking.operators import define


def lookup_sum(table: Tensor, start: Tensor, rows: Tensor) -> Tensor:
    """start + Σ_q table[rows_q], for each entry. table: [R, T, F]. start: [R, 1, F]. rows: int64 [R, N, Q], below T.

    Returns [R, N, F].
    """
    return _LookupSum.apply(table, start, rows)


class _LookupSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, start: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.size = table.shape[1]
        return _operator(table, start, rows)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        return *_backward_operator(grad, *ctx.saved_tensors, ctx.size), None


def plain_lookup(table: Tensor, start: Tensor, rows: Tensor) -> Tensor:
    """`lookup_sum` in plain torch, for any device."""
    return start + table.flatten(0, 1)[_among_all(rows, table.shape[1])].sum(dim=2)


def plain_lookup_backward(grad: Tensor, rows: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The gradients of the table, of `size` rows, and of the start, in plain torch."""
    replicas, _, features = grad.shape
    shares = grad[:, :, None].expand(*rows.shape, features).flatten(0, 2)
    table = grad.new_zeros(replicas * size, features).index_add(0, _among_all(rows, size).flatten(), shares)
    return table.view(replicas, size, features), grad.sum(dim=1, keepdim=True)


def _among_all(rows: Tensor, size: int) -> Tensor:
    """Rows of a replica's table as rows of all tables, one below the other."""
    return rows + size * torch.arange(len(rows), device=rows.device)[:, None, None]


def _compiled(table: Tensor, start: Tensor, rows: Tensor) -> Tensor:
    out = table.new_empty(*rows.shape[:2], table.shape[2])
    _lookup(*(tensor.contiguous().numpy() for tensor in (table, start, rows)), out.numpy())  # type: ignore[call-arg]
    return out


def _compiled_backward(grad: Tensor, rows: Tensor, size: int) -> tuple[Tensor, Tensor]:
    replicas, _, features = grad.shape
    grad_table, grad_start = grad.new_zeros(replicas, size, features), grad.new_zeros(replicas, 1, features)
    tensors = (grad.contiguous(), rows.contiguous(), grad_table, grad_start)
    _lookup_backward(*(tensor.numpy() for tensor in tensors))
    return grad_table, grad_start


@njit(cache=True, nogil=True)
def _lookup(table, start, rows, out):
    replicas, width, features = out.shape
    for r in range(replicas):
        begin = start[r, 0]
        for i in range(width):
            total = out[r, i]
            for f in range(features):
                total[f] = begin[f]
            for q in range(rows.shape[2]):
                row = table[r, rows[r, i, q]]
                for f in range(features):
                    total[f] += row[f]


@njit(cache=True, nogil=True)
def _lookup_backward(grad, rows, grad_table, grad_start):
    replicas, width, features = grad.shape
    for r in range(replicas):
        on_start = grad_start[r, 0]
        for i in range(width):
            given = grad[r, i]
            for f in range(features):
                on_start[f] += given[f]
            for q in range(rows.shape[2]):
                on_row = grad_table[r, rows[r, i, q]]
                for f in range(features):
                    on_row[f] += given[f]


_operator = define(
    "lookup_sum(Tensor table, Tensor start, Tensor rows) -> Tensor",
    _compiled,
    plain_lookup,
    lambda table, start, rows: table.new_empty(*rows.shape[:2], table.shape[2]),
)
_backward_operator = define(
    "lookup_sum_backward(Tensor grad, Tensor rows, int size) -> (Tensor, Tensor)",
    _compiled_backward,
    plain_lookup_backward,
    lambda grad, rows, size: (
        grad.new_empty(grad.shape[0], size, grad.shape[2]),
        grad.new_empty(grad.shape[0], 1, grad.shape[2]),
    ),
)
