"""Messages along edges that have categorical features, and their sums, as one operator of torch's.

Compiled loops on the CPU, where all that one replica needs stays in the cache and no message is kept; on any other
device the plain torch form beside them, which the tests hold them against.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.segments import Segments, segment_of
from rethinking.operators import define


def message_sum(x: Tensor, table: Tensor, own: Tensor, segments: Segments, labels: Tensor) -> Tensor:
    """Σ_j ReLU(x_j + Σ_q table[labels_q of that entry]) + ReLU(x_i + own), j the rows of segment i.

    x: [R, N, F]. table: [R, T, F]. own: [R, 1, F]. segments: one for each of the R·N rows, which hold rows of the same
    replica. labels: int64 [M, Q], below T, of each entry of the segments. Returns [R, N, F].
    """
    return _MessageSum.apply(x, table, own, segments.ptr, segments.rows, labels)


class _MessageSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        ctx.save_for_backward(*inputs)
        return _operator(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return *_backward_operator(grad, *ctx.saved_tensors), None, None, None


def plain_messages(x: Tensor, table: Tensor, own: Tensor, ptr: Tensor, rows: Tensor, labels: Tensor) -> Tensor:
    """`message_sum` in plain torch, for any device."""
    flat, (target, labels) = x.flatten(0, 1), _places(x, table, ptr, rows, labels)
    messages = (flat[rows] + table.flatten(0, 1)[labels].sum(dim=1)).relu()
    # One row more takes the entries that are of no segment.
    sums = flat.new_zeros(len(flat) + 1, flat.shape[1]).index_add(0, target, messages)[:-1]
    return sums.view_as(x) + (x + own).relu()


def plain_messages_backward(
    grad: Tensor, x: Tensor, table: Tensor, own: Tensor, ptr: Tensor, rows: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, table and own in plain torch."""
    flat, (target, labels) = x.flatten(0, 1), _places(x, table, ptr, rows, labels)
    grad_own = grad * (x + own > 0)
    tables = table.flatten(0, 1)
    given = torch.cat([grad.flatten(0, 1), grad.new_zeros(1, x.shape[2])])
    passed = given[target] * (flat[rows] + tables[labels].sum(dim=1) > 0)
    grad_x = grad_own.flatten(0, 1).index_add(0, rows, passed).view_as(x)
    shares = passed[:, None].expand(*labels.shape, -1).flatten(0, 1)
    grad_table = torch.zeros_like(tables).index_add(0, labels.flatten(), shares).view_as(table)
    return grad_x, grad_table, grad_own.sum(dim=1, keepdim=True)


def _places(x: Tensor, table: Tensor, ptr: Tensor, rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The row that each message goes to, and its labels as rows of all tables, one below the other."""
    target = segment_of(ptr, rows)
    return target, labels + table.shape[1] * (target // x.shape[1]).clamp(max=len(x) - 1)[:, None]


def _compiled(x: Tensor, table: Tensor, own: Tensor, ptr: Tensor, rows: Tensor, labels: Tensor) -> Tensor:
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    _messages(*_arrays(x, table, own, ptr, rows, labels, out))
    return out


def _compiled_backward(
    grad: Tensor, x: Tensor, table: Tensor, own: Tensor, ptr: Tensor, rows: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    grad_x, grad_table, grad_own = (x.new_zeros(value.shape) for value in (x, table, own))
    _messages_backward(*_arrays(grad, x, table, own, ptr, rows, labels, grad_x, grad_table, grad_own))
    return grad_x, grad_table, grad_own


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [tensor.contiguous().numpy() for tensor in tensors]


@njit(inline="always")
def _add_labels(table, labels, message):
    for q in range(len(labels)):
        row = table[labels[q]]
        for f in range(len(message)):
            message[f] += row[f]


@njit(cache=True, nogil=True)
def _messages(x, table, own, ptr, rows, labels, out):
    replicas, width, features = x.shape
    message = np.empty(features, x.dtype)
    zero = x.dtype.type(0)
    for r in range(replicas):
        first, added = r * width, own[r, 0]
        for i in range(width):
            row, total = x[r, i], out[r, i]
            for f in range(features):
                value = row[f] + added[f]
                # What is not a number stays.
                total[f] = zero if value < zero else value
            for entry in range(ptr[first + i], ptr[first + i + 1]):
                other = x[r, rows[entry] - first]
                for f in range(features):
                    message[f] = other[f]
                _add_labels(table[r], labels[entry], message)
                for f in range(features):
                    total[f] += zero if message[f] < zero else message[f]


@njit(cache=True, nogil=True)
def _messages_backward(grad, x, table, own, ptr, rows, labels, grad_x, grad_table, grad_own):
    replicas, width, features = x.shape
    message = np.empty(features, x.dtype)
    zero = x.dtype.type(0)
    for r in range(replicas):
        first, added, on_own = r * width, own[r, 0], grad_own[r, 0]
        for i in range(width):
            row, given, on_row = x[r, i], grad[r, i], grad_x[r, i]
            for f in range(features):
                # As torch's ReLU: where it is not a number the gradient passes.
                message[f] = zero if row[f] + added[f] <= zero else given[f]
            for f in range(features):
                on_row[f] += message[f]
            for f in range(features):
                on_own[f] += message[f]
            for entry in range(ptr[first + i], ptr[first + i + 1]):
                other, on_other = x[r, rows[entry] - first], grad_x[r, rows[entry] - first]
                for f in range(features):
                    message[f] = other[f]
                _add_labels(table[r], labels[entry], message)
                for f in range(features):
                    message[f] = zero if message[f] <= zero else given[f]
                for f in range(features):
                    on_other[f] += message[f]
                for q in range(labels.shape[1]):
                    on_label = grad_table[r, labels[entry, q]]
                    for f in range(features):
                        on_label[f] += message[f]


_operator = define(
    "message_sum(Tensor x, Tensor table, Tensor own, Tensor ptr, Tensor rows, Tensor labels) -> Tensor",
    _compiled,
    plain_messages,
    lambda x, *others: torch.empty_like(x),
)
_backward_operator = define(
    "message_sum_backward(Tensor grad, Tensor x, Tensor table, Tensor own, Tensor ptr, Tensor rows, Tensor labels)"
    " -> (Tensor, Tensor, Tensor)",
    _compiled_backward,
    plain_messages_backward,
    lambda grad, x, table, own, *others: (torch.empty_like(x), torch.empty_like(table), torch.empty_like(own)),
)
