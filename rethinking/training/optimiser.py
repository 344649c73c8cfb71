"""Adam over all replicas at once: parameters [R, P], with a learning rate and a count of steps for each row."""

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.operators import define

# Those of torch.optim.Adam.
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


def plain_adam_step(values: Tensor, grads: Tensor, first: Tensor, second: Tensor, steps: Tensor, rates: Tensor) -> None:
    """One step of `torch.optim.Adam` for every row, in place (Kingma and Ba 2015, Algorithm 1), on any device.

    values, grads: [R, P]. first, second: the moments, [R, P]. steps: those taken so far, [R]; rates: [R]; both double.
    Where gradient and moments are zero a value stays as it is, to the bit. No branch depends on a number.
    """
    steps.add_(1)
    first.lerp_(grads, 1 - BETA1)
    second.mul_(BETA2).addcmul_(grads, grads, value=1 - BETA2)
    size = (rates / (1 - BETA1**steps)).to(values.dtype)[:, None]
    root = (1 - BETA2**steps).sqrt().to(values.dtype)[:, None]
    values.sub_(size * first / (second.sqrt() / root + EPS))


def clip(grads: Tensor, max_norm: float) -> None:
    """Scale down to `max_norm` each row of grads [R, P] whose norm is larger, as `clip_grad_norm_` does."""
    norm = torch.linalg.vector_norm(grads, dim=1, keepdim=True)
    grads.mul_((max_norm / (norm + 1e-6)).clamp(max=1.0))


# numpy's error model: no look for a zero before each division, so that the loop is vectorised.
@njit(cache=True, nogil=True, error_model="numpy")
def _adam_rows(values, grads, first, second, steps, rates):
    """In one pass over memory; arithmetic in the precision of the values."""
    kind = values.dtype.type
    add1, keep2, add2, eps = kind(1 - BETA1), kind(BETA2), kind(1 - BETA2), kind(EPS)
    for row in range(values.shape[0]):
        steps[row] += 1
        size = kind(rates[row] / (1 - BETA1 ** steps[row]))
        root = kind(np.sqrt(1 - BETA2 ** steps[row]))
        for i in range(values.shape[1]):
            grad = grads[row, i]
            m = first[row, i] + add1 * (grad - first[row, i])
            v = keep2 * second[row, i] + add2 * grad * grad
            first[row, i] = m
            second[row, i] = v
            values[row, i] -= size * m / (np.sqrt(v) / root + eps)


def _adam_compiled(*tensors: Tensor) -> None:
    _adam_rows(*(tensor.numpy() for tensor in tensors))


# What training calls. On the CPU the plain form would take 4 to 10 times as long as the compiled one.
adam_step = define(
    "adam_step(Tensor(a!) values, Tensor grads, Tensor(b!) first, Tensor(c!) second, Tensor(d!) steps, Tensor rates)"
    " -> ()",
    _adam_compiled,
    plain_adam_step,
    lambda *tensors: None,
)
