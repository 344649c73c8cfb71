"""The neighbour sum A X over R × B graphs, forward and backward, on the CPU and elsewhere."""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.topology import Topology


def with_neighbour_sum(x: Tensor, topology: Topology) -> Tensor:
    """[X | A X]: the features of each node beside the sum of its in-neighbours' features.

    x: [R, N, F]. Returns [R, N, 2·F]. Works for directed graphs (A ≠ Aᵀ).
    """
    if x.device.type == "cpu":
        return _WithNeighbourSum.apply(x, topology)
    return scatter_with_neighbour_sum(x, topology)


def scatter_with_neighbour_sum(x: Tensor, topology: Topology) -> Tensor:
    """`with_neighbour_sum` by torch's scatters, for any device."""
    source, target = topology.edge_index_on(x.device)
    flat = x.reshape(-1, x.shape[-1])
    sums = torch.zeros_like(flat).index_add(0, target, flat.index_select(0, source))
    return torch.cat([x, sums.view_as(x)], dim=-1)


def neighbour_sum(x: Tensor, topology: Topology) -> Tensor:
    """A X alone. x: [R, N, F]. Returns [R, N, F]."""
    if x.device.type == "cpu":
        return _NeighbourSum.apply(x, topology)
    return scatter_with_neighbour_sum(x, topology)[..., x.shape[-1] :]


class _NeighbourSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, topology: Topology) -> Tensor:
        ctx.topology = topology
        return _sum_rows(x.detach(), topology.in_ptr, topology.in_rows)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        # The transpose of a sum over in-neighbours is the sum over out-neighbours.
        return _sum_rows(grad, ctx.topology.out_ptr, ctx.topology.out_rows), None


def _sum_rows(x: Tensor, ptr: np.ndarray, rows: np.ndarray) -> Tensor:
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    _sum(x.contiguous().view(-1, x.shape[-1]).numpy(), ptr, rows, out.view(-1, x.shape[-1]).numpy())
    return out


class _WithNeighbourSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, topology: Topology) -> Tensor:
        ctx.topology = topology
        out = x.new_empty(*x.shape[:-1], 2 * x.shape[-1])
        rows = x.detach().contiguous().view(-1, x.shape[-1]).numpy()
        _forward(rows, topology.in_ptr, topology.in_rows, out.view(-1, out.shape[-1]).numpy())
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        topology = ctx.topology
        width = grad.shape[-1] // 2
        grad_x = grad.new_empty(*grad.shape[:-1], width)
        rows = grad.contiguous().view(-1, 2 * width).numpy()
        _backward(rows, topology.out_ptr, topology.out_rows, grad_x.view(-1, width).numpy())
        return grad_x, None


@njit(cache=True, nogil=True)
def _forward(x, in_ptr, in_rows, out):
    width = x.shape[1]
    for row in range(x.shape[0]):
        # Plain loops with one statement each: the compiler vectorises these.
        for f in range(width):
            out[row, f] = x[row, f]
        for f in range(width):
            out[row, width + f] = 0
        for edge in range(in_ptr[row], in_ptr[row + 1]):
            source = in_rows[edge]
            for f in range(width):
                out[row, width + f] += x[source, f]


@njit(cache=True, nogil=True)
def _backward(grad, out_ptr, out_rows, grad_x):
    width = grad_x.shape[1]
    for row in range(grad_x.shape[0]):
        for f in range(width):
            grad_x[row, f] = grad[row, f]
        for edge in range(out_ptr[row], out_ptr[row + 1]):
            target = out_rows[edge]
            for f in range(width):
                grad_x[row, f] += grad[target, width + f]


@njit(cache=True, nogil=True)
def _sum(x, ptr, rows, out):
    width = x.shape[1]
    for row in range(x.shape[0]):
        for f in range(width):
            out[row, f] = 0
        for edge in range(ptr[row], ptr[row + 1]):
            source = rows[edge]
            for f in range(width):
                out[row, f] += x[source, f]
