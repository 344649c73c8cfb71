"""Sums over the edges that lead to a node, each by a weight through which gradients flow, as one operator of torch's.

For edges that are listed (`graphs/listed.py`), in whatever order: a compiled loop over them on the CPU, which makes no
row for each edge; on any other device the plain torch form beside it, which the tests hold it against.
"""

from typing import Any

import torch
from numba import njit
from torch import Tensor

from rethinking.operators import define


def edge_sum(x: Tensor, source: Tensor, target: Tensor, weight: Tensor, rows: int | None = None) -> Tensor:
    """out_i = Σ w_e x_source(e) over the edges e with target(e) = i, in their order. Returns [rows, F].

    x: [N, F]. source: int64 [E], rows of x; target: of what is returned, which has as many if nobody says; nothing
    looks whether they are. weight: [E], of the type of x. Raises ValueError if the three are not as long.
    """
    if not source.shape == target.shape == weight.shape:
        shapes = ", ".join(str(list(part.shape)) for part in (source, target, weight))
        raise ValueError(f"sources, targets and weights of edges are {shapes}; expected as many of each")
    return _EdgeSum.apply(x, source, target, weight, len(x) if rows is None else rows)


class _EdgeSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, source: Tensor, target: Tensor, weight: Tensor, rows: int) -> Tensor:
        ctx.save_for_backward(x, source, target, weight)
        return _operator(x, source, target, weight, rows)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, None, Tensor | None, None]:
        x, source, target, weight = ctx.saved_tensors
        needs_x, _, _, needs_weight, _ = ctx.needs_input_grad
        grad_x = _operator(grad, target, source, weight, len(x)) if needs_x else None
        grad_weight = _along_operator(grad, x, source, target) if needs_weight else None
        return grad_x, None, None, grad_weight, None


def plain_edge_sum(x: Tensor, source: Tensor, target: Tensor, weight: Tensor, rows: int) -> Tensor:
    """`edge_sum` in plain torch, for any device."""
    return x.new_zeros(rows, x.shape[1]).index_add(0, target, x.index_select(0, source) * weight[:, None])


def plain_along_edges(grad: Tensor, x: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """The gradient of the weights in plain torch: g_target(e) · x_source(e). Returns [E]."""
    return (grad.index_select(0, target) * x.index_select(0, source)).sum(dim=1)


def _compiled(x: Tensor, source: Tensor, target: Tensor, weight: Tensor, rows: int) -> Tensor:
    out = x.new_zeros(rows, x.shape[1])
    arrays = (tensor.contiguous().numpy() for tensor in (x, source, target, weight))
    _edge_sum(*arrays, out.numpy())  # type: ignore[call-arg]
    return out


def _compiled_along(grad: Tensor, x: Tensor, source: Tensor, target: Tensor) -> Tensor:
    along = x.new_empty(len(source))
    arrays = (tensor.contiguous().numpy() for tensor in (grad, x, source, target))
    _along_edges(*arrays, along.numpy())  # type: ignore[call-arg]
    return along


@njit(cache=True, nogil=True)
def _edge_sum(x, source, target, weight, out):
    for e in range(len(source)):
        row, total, w = x[source[e]], out[target[e]], weight[e]
        for f in range(len(row)):
            total[f] += w * row[f]


# Sums may be taken in another order, so that they are vectorised.
@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _along_edges(grad, x, source, target, along):
    for e in range(len(source)):
        row, given, total = x[source[e]], grad[target[e]], x.dtype.type(0)
        for f in range(len(row)):
            total += row[f] * given[f]
        along[e] = total


_operator = define(
    "edge_sum(Tensor x, Tensor source, Tensor target, Tensor weight, SymInt rows) -> Tensor",
    _compiled,
    plain_edge_sum,
    lambda x, source, target, weight, rows: x.new_empty(rows, x.shape[1]),
)
_along_operator = define(
    "along_edges(Tensor grad, Tensor x, Tensor source, Tensor target) -> Tensor",
    _compiled_along,
    plain_along_edges,
    lambda grad, x, source, target: x.new_empty(source.shape),
)
