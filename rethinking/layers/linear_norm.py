"""A linear layer, batch normalisation and ReLU as one operation, replica after replica.

An operator of torch's (`rethinking/operators.py`): compiled loops and products on the CPU, where all that one replica
needs stays in the cache; on any other device the plain torch form beside it, which the tests hold it against.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.levels import NodeSets
from rethinking.graphs.segments import present_rows
from rethinking.graphs.tall import add_tall_product, tall_product
from rethinking.layers.linear import Linear
from rethinking.layers.norm import BatchNorm
from rethinking.operators import define

# Rows at a time; sums over so few may be in single precision.
BLOCK = 128


def linear_norm_relu(x: Tensor, linear: Linear, norm: BatchNorm, level: NodeSets) -> Tensor:
    """ReLU(norm(linear(x))). x: [R, N, F]. Returns [R, N, G]; undefined in padding rows."""
    if not norm.training or norm.counts_padding or linear.bias is not None:
        return torch.relu_(norm(linear(x), level))
    nodes = level.sizes.sum(dim=1)
    out, mean, unbiased = _LinearNorm.apply(x, linear.weight, norm.weight, norm.bias, nodes, norm.eps)
    with torch.no_grad():
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(unbiased, norm.momentum)
    return out


class _LinearNorm(torch.autograd.Function):
    """Returns also the mean and the unbiased variance of each replica, [R, 1, G], through which no gradient comes."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, slope: Tensor, bias: Tensor, nodes: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        out, z, mean, var = _operator(x, weight, slope, bias, nodes, eps)
        ctx.save_for_backward(x, weight, slope, bias, z, mean, var, nodes)
        ctx.eps = eps
        unbiased = var * (nodes / (nodes - 1).clamp(min=1)).to(var.dtype)[:, None, None]
        ctx.mark_non_differentiable(mean, unbiased)
        return out, mean, unbiased

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *unused: Tensor) -> tuple[Tensor | None, ...]:
        needs_x = ctx.needs_input_grad[0]
        grad_x, *others = _backward_operator(grad, *ctx.saved_tensors, ctx.eps, needs_x)
        return grad_x if needs_x else None, *others, None, None


def plain_linear_norm(
    x: Tensor, weight: Tensor, slope: Tensor, bias: Tensor, nodes: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """ReLU(norm(z)) and z = x W, [R, N, G], its mean and variance over the nodes, [R, 1, G], in plain torch.

    slope, bias: of the norm, [R, 1, G]. nodes: how many rows of each replica are nodes, its first ones, [R].
    """
    present, count = present_rows(x, nodes), nodes.to(x.dtype)[:, None, None]
    z = x.masked_fill(~present, 0) @ weight
    mean = z.sum(dim=1, keepdim=True) / count
    var = ((z - mean) * present).square().sum(dim=1, keepdim=True) / count
    scale = slope * (var + eps).rsqrt()
    return ((z - mean) * scale + bias).relu() * present, z, mean, var


def plain_linear_norm_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    slope: Tensor,
    bias: Tensor,
    z: Tensor,
    mean: Tensor,
    var: Tensor,
    nodes: Tensor,
    eps: float,
    needs_x: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of x, weight, slope and bias in plain torch; that of x is empty unless it is needed."""
    present, count = present_rows(x, nodes), nodes.to(x.dtype)[:, None, None]
    scale = (var + eps).rsqrt()
    straight = (z - mean) * scale
    # As torch's ReLU: where its value is not a number the gradient passes.
    grad = grad.masked_fill((straight * slope + bias <= 0) | ~present, 0)
    grad_bias = grad.sum(dim=1, keepdim=True)
    grad_slope = (grad * straight).sum(dim=1, keepdim=True)
    grad_z = slope * scale * (grad - grad_bias / count - straight * grad_slope / count) * present
    grad_x = grad_z @ weight.transpose(1, 2) if needs_x else x.new_empty(len(x), 0, x.shape[2])
    return grad_x, x.masked_fill(~present, 0).transpose(1, 2) @ grad_z, grad_slope, grad_bias


def _compiled(
    x: Tensor, weight: Tensor, slope: Tensor, bias: Tensor, nodes: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    out, z = (x.new_empty(*x.shape[:2], weight.shape[2]) for _ in range(2))
    mean, var = (x.new_empty(slope.shape) for _ in range(2))
    _linear_norm(eps, *_arrays(x, weight, slope, bias, nodes, out, z, mean, var))
    return out, z, mean, var


def _compiled_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    slope: Tensor,
    bias: Tensor,
    z: Tensor,
    mean: Tensor,
    var: Tensor,
    nodes: Tensor,
    eps: float,
    needs_x: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    grad_x = x.new_empty(len(x), x.shape[1] if needs_x else 0, x.shape[2])
    grad_weight, grad_slope, grad_bias = (x.new_zeros(value.shape) for value in (weight, slope, bias))
    given = _arrays(grad, x, weight, slope, bias, z, mean, var, nodes)
    _linear_norm_backward(eps, needs_x, *given, *_arrays(grad_x, grad_weight, grad_slope, grad_bias))
    return grad_x, grad_weight, grad_slope, grad_bias


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [tensor.contiguous().numpy() for tensor in tensors]


# Sums over all nodes in double precision: in single they lose up to some per cent of a small variance.
@njit(cache=True, nogil=True, error_model="numpy")
def _linear_norm(eps, x, weight, slope, bias, nodes, out, z, mean, var):
    replicas, _, features = out.shape
    zero = x.dtype.type(0)
    sums, part = np.empty(features), np.empty(features, x.dtype)
    middle, scale = np.empty(features, x.dtype), np.empty(features, x.dtype)
    for r in range(replicas):
        count, own_bias = nodes[r], bias[r, 0]
        sums[:] = 0
        for first in range(0, count, BLOCK):
            last = min(first + BLOCK, count)
            tall_product(x[r, first:last], weight[r], z[r, first:last])
            part[:] = zero
            for i in range(first, last):
                row = z[r, i]
                for f in range(features):
                    part[f] += row[f]
            for f in range(features):
                sums[f] += part[f]
        for f in range(features):
            middle[f] = sums[f] / count
        sums[:] = 0
        for first in range(0, count, BLOCK):
            part[:] = zero
            for i in range(first, min(first + BLOCK, count)):
                row = z[r, i]
                for f in range(features):
                    part[f] += (row[f] - middle[f]) * (row[f] - middle[f])
            for f in range(features):
                sums[f] += part[f]
        for f in range(features):
            mean[r, 0, f] = middle[f]
            var[r, 0, f] = sums[f] / count
            scale[f] = slope[r, 0, f] / np.sqrt(sums[f] / count + eps)
        for i in range(count):
            row, result = z[r, i], out[r, i]
            for f in range(features):
                value = (row[f] - middle[f]) * scale[f] + own_bias[f]
                # What is not a number stays.
                result[f] = zero if value < zero else value
        out[r, count:] = zero
        z[r, count:] = zero


@njit(cache=True, nogil=True, error_model="numpy")
def _linear_norm_backward(
    eps, needs_x, grad, x, weight, slope, bias, z, mean, var, nodes, grad_x, grad_weight, grad_slope, grad_bias
):
    replicas, _, features = grad.shape
    zero = x.dtype.type(0)
    sums, part = np.empty(features), np.empty(features, x.dtype)
    along, part_along = np.empty(features), np.empty(features, x.dtype)
    scale = np.empty(features, x.dtype)
    on_z, rest = np.empty(features, x.dtype), np.empty(features, x.dtype)
    block = np.empty((BLOCK, features), x.dtype)
    for r in range(replicas):
        count, own_bias, middle = nodes[r], bias[r, 0], mean[r, 0]
        turned = np.ascontiguousarray(weight[r].T)
        for f in range(features):
            scale[f] = slope[r, 0, f] / np.sqrt(np.float64(var[r, 0, f]) + eps)
        sums[:] = 0
        along[:] = 0
        for first in range(0, count, BLOCK):
            part[:] = zero
            part_along[:] = zero
            for i in range(first, min(first + BLOCK, count)):
                row, given, kept = z[r, i], grad[r, i], block[i - first]
                for f in range(features):
                    # As torch's ReLU: where its value is not a number the gradient passes.
                    kept[f] = zero if (row[f] - middle[f]) * scale[f] + own_bias[f] <= zero else given[f]
                for f in range(features):
                    part[f] += kept[f]
                for f in range(features):
                    part_along[f] += kept[f] * (row[f] - middle[f])
            for f in range(features):
                sums[f] += part[f]
            for f in range(features):
                along[f] += part_along[f]
        for f in range(features):
            straight = 1 / np.sqrt(np.float64(var[r, 0, f]) + eps)
            grad_bias[r, 0, f] = sums[f]
            grad_slope[r, 0, f] = along[f] * straight
            # grad_z = w s (grad − Σ grad / n − (z − mean) s² Σ grad (z − mean) / n), s one over the deviation.
            on_z[f] = -scale[f] * straight * straight * along[f] / count
            rest[f] = -scale[f] * sums[f] / count
        for first in range(0, count, BLOCK):
            last = min(first + BLOCK, count)
            for i in range(first, last):
                row, given, kept = z[r, i], grad[r, i], block[i - first]
                for f in range(features):
                    off = row[f] - middle[f]
                    passed = zero if off * scale[f] + own_bias[f] <= zero else given[f]
                    kept[f] = passed * scale[f] + off * on_z[f] + rest[f]
            grad_z = block[: last - first]
            add_tall_product(x[r, first:last], grad_z, grad_weight[r])
            if needs_x:
                tall_product(grad_z, turned, grad_x[r, first:last])
        if needs_x:
            grad_x[r, count:] = zero


_operator = define(
    "linear_norm_relu(Tensor x, Tensor weight, Tensor slope, Tensor bias, Tensor nodes, float eps)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
    _compiled,
    plain_linear_norm,
    lambda x, weight, slope, *others: (
        x.new_empty(*x.shape[:2], weight.shape[2]),
        x.new_empty(*x.shape[:2], weight.shape[2]),
        torch.empty_like(slope),
        torch.empty_like(slope),
    ),
)
_backward_operator = define(
    "linear_norm_relu_backward(Tensor grad, Tensor x, Tensor weight, Tensor slope, Tensor bias, Tensor z, Tensor mean,"
    " Tensor var, Tensor nodes, float eps, bool needs_x) -> (Tensor, Tensor, Tensor, Tensor)",
    _compiled_backward,
    plain_linear_norm_backward,
    lambda grad, x, weight, slope, bias, z, mean, var, nodes, eps, needs_x: (
        x.new_empty(x.shape[0], x.shape[1] if needs_x else 0, x.shape[2]),
        torch.empty_like(weight),
        torch.empty_like(slope),
        torch.empty_like(bias),
    ),
)
