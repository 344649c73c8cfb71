"""The entropy of soft assignments, summed over nodes, as one operation.

An operator of torch's (`rethinking/operators.py`): compiled loops on the CPU, on any other device the plain torch form
beside it, which the tests hold it against.
"""

import math
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.operators import define

# Keeps the logarithm of zero finite, as in PyG's `dense_diff_pool`.
SMALL = 1e-15


def entropy(assignment: Tensor, nodes: Tensor) -> Tensor:
    """−Σ s log(s + 1e-15) over each replica's nodes, its first rows. assignment: [R, N, k]. nodes: [R]. Returns [R]."""
    return _Entropy.apply(assignment, nodes)


class _Entropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, assignment: Tensor, nodes: Tensor) -> Tensor:
        sums, logs = _operator(assignment, nodes)
        ctx.save_for_backward(assignment, logs, nodes)
        return sums

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _backward_operator(grad, *ctx.saved_tensors), None


def plain_entropy(assignment: Tensor, nodes: Tensor) -> tuple[Tensor, Tensor]:
    """`entropy` in plain torch, and the logarithms, undefined in padding rows."""
    logs = (assignment + SMALL).log()
    present = torch.arange(assignment.shape[1], device=nodes.device) < nodes[:, None]
    return -(assignment * logs).masked_fill(~present[..., None], 0).sum(dim=(1, 2)), logs


def plain_entropy_backward(grad: Tensor, assignment: Tensor, logs: Tensor, nodes: Tensor) -> Tensor:
    """The gradient of `entropy` in plain torch."""
    present = torch.arange(assignment.shape[1], device=nodes.device) < nodes[:, None]
    slopes = logs + assignment / (assignment + SMALL)
    return (-grad[:, None, None] * slopes).masked_fill(~present[..., None], 0)


def _compiled(assignment: Tensor, nodes: Tensor) -> tuple[Tensor, Tensor]:
    assignment = assignment.contiguous()
    sums, logs = assignment.new_empty(len(assignment)), torch.empty_like(assignment)
    loop = _entropy_single if assignment.dtype == torch.float32 else _entropy
    loop(_by_replica(assignment), nodes.numpy(), assignment.shape[2], sums.numpy(), _by_replica(logs))
    return sums, logs


def _compiled_backward(grad: Tensor, assignment: Tensor, logs: Tensor, nodes: Tensor) -> Tensor:
    assignment = assignment.contiguous()
    grad_s = torch.empty_like(assignment)
    arrays = (_by_replica(tensor) for tensor in (assignment, logs, grad_s))
    _entropy_backward(grad.contiguous().numpy(), *arrays, nodes.numpy(), assignment.shape[2])  # type: ignore[call-arg]
    return grad_s


def _by_replica(x: Tensor) -> np.ndarray:
    """[R, N, k] as [R, N·k], without a copy: what is done with each number does not depend on its row."""
    return x.view(len(x), -1).numpy()


@njit(cache=True, nogil=True)
def _entropy(assignment, nodes, k, sums, logs):
    for r in range(len(assignment)):
        total = 0.0
        for i in range(nodes[r] * k):
            logs[r, i] = math.log(assignment[r, i] + SMALL)
            total -= assignment[r, i] * logs[r, i]
        sums[r] = total


# Sums may be taken in another order, so that they are vectorised; what is not a number must stay so.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _entropy_single(assignment, nodes, k, sums, logs):
    """In single precision, with a logarithm that is vectorised: a polynomial of the mantissa (Cephes, `logf`).

    For numbers from 0 to 1, to which 1e-15 is added: of full precision, and above zero.
    """
    one, half = np.float32(1), np.float32(0.5)
    mantissa, power = np.empty(assignment.shape[1], np.float32), np.empty(assignment.shape[1], np.float32)
    bits = mantissa.view(np.int32)
    for r in range(len(assignment)):
        values, own, count = assignment[r], logs[r], nodes[r] * k
        for i in range(count):
            mantissa[i] = values[i] + np.float32(SMALL)
        for i in range(count):
            # The number is 2^e times a mantissa between 1/√2 and √2.
            e = (bits[i] - np.int32(0x3F3504F3)) >> np.int32(23)
            bits[i] = np.int32(bits[i] - np.int32(e << np.int32(23)))
            power[i] = np.float32(e)
        total = np.float32(0)
        for i in range(count):
            x = mantissa[i] - one
            series = np.float32(7.0376836292e-2)
            series = series * x + np.float32(-1.1514610310e-1)
            series = series * x + np.float32(1.1676998740e-1)
            series = series * x + np.float32(-1.2420140846e-1)
            series = series * x + np.float32(1.4249322787e-1)
            series = series * x + np.float32(-1.6668057665e-1)
            series = series * x + np.float32(2.0000714765e-1)
            series = series * x + np.float32(-2.4999993993e-1)
            series = series * x + np.float32(3.3333331174e-1)
            series = (series * x - half) * x * x + power[i] * np.float32(-2.12194440e-4)
            own[i] = x + series + power[i] * np.float32(0.693359375)
            # What is not a number is found in the product.
            total -= values[i] * own[i]
        sums[r] = total


@njit(cache=True, nogil=True, error_model="numpy")
def _entropy_backward(grad, assignment, logs, grad_s, nodes, k):
    small = assignment.dtype.type(SMALL)
    for r in range(len(assignment)):
        values, own, back, slope = assignment[r], logs[r], grad_s[r], -grad[r]
        for i in range(nodes[r] * k):
            back[i] = slope * (own[i] + values[i] / (values[i] + small))
        back[nodes[r] * k :] = 0


_operator = define(
    "assignment_entropy(Tensor assignment, Tensor nodes) -> (Tensor, Tensor)",
    _compiled,
    plain_entropy,
    lambda assignment, nodes: (assignment.new_empty(assignment.shape[0]), torch.empty_like(assignment)),
)
_backward_operator = define(
    "assignment_entropy_backward(Tensor grad, Tensor assignment, Tensor logs, Tensor nodes) -> Tensor",
    _compiled_backward,
    plain_entropy_backward,
    lambda grad, assignment, *others: torch.empty_like(assignment),
)
