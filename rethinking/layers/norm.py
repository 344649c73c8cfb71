"""Batch normalisation with a replica axis, and its operator of torch's."""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn

from rethinking.graphs.levels import NodeSets
from rethinking.layers.initial import InitialDraw, ReplicaLayer
from rethinking.operators import define


class BatchNorm(ReplicaLayer):
    """Batch normalisation of every replica by its own statistics, as `torch.nn.BatchNorm1d` over its nodes.

    counts_padding: as the released code, count rows of zeros by which all graphs of a batch are as large as its
    largest, so that the statistics depend on that (fidelity ledger, row 13).
    """

    momentum = 0.1
    eps = 1e-5

    def __init__(self, replicas: int, features: int, counts_padding: bool = False) -> None:
        super().__init__()
        self.counts_padding = counts_padding
        self.weight = nn.Parameter(torch.empty(replicas, 1, features))
        self.bias = nn.Parameter(torch.empty(replicas, 1, features))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(replicas, 1, features))
        self.register_buffer("running_var", torch.ones(replicas, 1, features))

    @torch.no_grad()
    def reset(self, draw: InitialDraw) -> None:
        """The identity, and the statistics of standardised features."""
        self.weight.fill_(1)
        self.bias.zero_()
        self.running_mean.zero_()
        self.running_var.fill_(1)

    def forward(self, x: Tensor, level: NodeSets) -> Tensor:
        """x: [R, N, F]. Returns [R, N, F]; undefined in padding rows."""
        if not self.training:
            return (x - self.running_mean) * (self.weight * (self.running_var + self.eps).rsqrt()) + self.bias
        nodes = level.sizes.sum(dim=1)
        counted = level.graphs * level.sizes.amax(dim=1) if self.counts_padding else nodes
        out, mean, var = _Normalise.apply(x, self.weight, self.bias, nodes, counted, self.eps)
        with torch.no_grad():
            unbiased = (counted / (counted - 1).clamp(min=1)).to(var.dtype)[:, None, None]
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * unbiased, self.momentum)
        return out


class _Normalise(torch.autograd.Function):
    """Returns also the mean and the variance of each replica, [R, 1, F], through which no gradient comes."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, nodes: Tensor, counted: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        out, mean, var = _operator(x, weight, bias, nodes, counted, eps)
        ctx.save_for_backward(x, weight, mean, var, nodes, counted)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, var)
        return out, mean, var

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *unused: Tensor) -> tuple[Tensor | None, ...]:
        return *_backward_operator(grad, *ctx.saved_tensors, ctx.eps), None, None, None


def plain_norm(
    x: Tensor, weight: Tensor, bias: Tensor, nodes: Tensor, counted: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The normalised rows [R, N, F], the mean and the variance [R, 1, F], in plain torch.

    nodes: how many rows of each replica are nodes, its first ones; counted: how many count, the others as zeros; [R].
    """
    present, count = _present(x, nodes), counted.to(x.dtype)[:, None, None]
    mean = (x * present).sum(dim=1, keepdim=True) / count
    squares = ((x - mean) * present).square().sum(dim=1, keepdim=True)
    var = (squares + (counted - nodes).to(x.dtype)[:, None, None] * mean.square()) / count
    return (x - mean) * (weight * (var + eps).rsqrt()) + bias, mean, var


def plain_norm_backward(
    grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, var: Tensor, nodes: Tensor, counted: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias in plain torch."""
    scale = (var + eps).rsqrt()
    grad, straight = grad * _present(x, nodes), (x - mean) * scale
    grad_bias = grad.sum(dim=1, keepdim=True)
    grad_weight = (grad * straight).sum(dim=1, keepdim=True)
    count = counted.to(x.dtype)[:, None, None]
    grad_x = weight * scale * (grad - grad_bias / count - straight * grad_weight / count)
    return grad_x * _present(x, nodes), grad_weight, grad_bias


def _present(x: Tensor, nodes: Tensor) -> Tensor:
    """Whether each row is a node, [R, N, 1]."""
    return (torch.arange(x.shape[1], device=x.device) < nodes[:, None])[..., None]


def _compiled_norm(
    x: Tensor, weight: Tensor, bias: Tensor, nodes: Tensor, counted: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    x = x.contiguous()
    out, mean, var = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)
    arrays = [tensor.contiguous().numpy() for tensor in (x, weight, bias, nodes, counted)]
    _norm(*arrays, eps, out.numpy(), mean.numpy(), var.numpy())  # type: ignore[call-arg]
    return out, mean, var


def _compiled_norm_backward(
    grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, var: Tensor, nodes: Tensor, counted: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    x = x.contiguous()
    grads = torch.empty_like(x), torch.empty_like(mean), torch.empty_like(mean)
    arrays = [tensor.contiguous().numpy() for tensor in (grad, x, weight, mean, var, nodes, counted)]
    _norm_backward(*arrays, eps, *(tensor.numpy() for tensor in grads))  # type: ignore[call-arg]
    return grads


# Sums in double precision: in single they lose up to some per cent of a small variance.
@njit(cache=True, nogil=True, error_model="numpy")
def _norm(x, weight, bias, nodes, counted, eps, out, mean, var):
    replicas, width, features = x.shape
    sums, shift, scale = np.empty(features), np.empty(features, x.dtype), np.empty(features, x.dtype)
    for r in range(replicas):
        sums[:] = 0
        for i in range(nodes[r]):
            for f in range(features):
                sums[f] += x[r, i, f]
        for f in range(features):
            mean[r, 0, f] = sums[f] / counted[r]
        sums[:] = 0
        for i in range(nodes[r]):
            for f in range(features):
                off = x[r, i, f] - mean[r, 0, f]
                sums[f] += off * off
        for f in range(features):
            middle = np.float64(mean[r, 0, f])
            spread = (sums[f] + (counted[r] - nodes[r]) * middle * middle) / counted[r]
            var[r, 0, f] = spread
            slope = weight[r, 0, f] / np.sqrt(spread + eps)
            scale[f] = slope
            shift[f] = bias[r, 0, f] - middle * slope
        for i in range(width):
            for f in range(features):
                out[r, i, f] = x[r, i, f] * scale[f] + shift[f]


@njit(cache=True, nogil=True, error_model="numpy")
def _norm_backward(grad, x, weight, mean, var, nodes, counted, eps, grad_x, grad_weight, grad_bias):
    replicas, _, features = x.shape
    sums, along = np.empty(features), np.empty(features)
    on_grad, on_x, rest = np.empty(features, x.dtype), np.empty(features, x.dtype), np.empty(features, x.dtype)
    for r in range(replicas):
        sums[:] = 0
        along[:] = 0
        for i in range(nodes[r]):
            for f in range(features):
                sums[f] += grad[r, i, f]
            for f in range(features):
                along[f] += grad[r, i, f] * (x[r, i, f] - mean[r, 0, f])
        for f in range(features):
            scale = 1 / np.sqrt(np.float64(var[r, 0, f]) + eps)
            grad_bias[r, 0, f] = sums[f]
            grad_weight[r, 0, f] = along[f] * scale
            # grad_x = w s (grad − Σ grad / n − (x − mean) s² Σ grad (x − mean) / n), s the scale.
            slope = weight[r, 0, f] * scale
            on_grad[f] = slope
            on_x[f] = -slope * scale * scale * along[f] / counted[r]
            rest[f] = -slope * sums[f] / counted[r]
        for i in range(nodes[r]):
            for f in range(features):
                grad_x[r, i, f] = grad[r, i, f] * on_grad[f] + (x[r, i, f] - mean[r, 0, f]) * on_x[f] + rest[f]
        grad_x[r, nodes[r] :] = 0


_operator = define(
    "batch_norm(Tensor x, Tensor weight, Tensor bias, Tensor nodes, Tensor counted, float eps)"
    " -> (Tensor, Tensor, Tensor)",
    _compiled_norm,
    plain_norm,
    lambda x, weight, *others: (torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)),
)
_backward_operator = define(
    "batch_norm_backward(Tensor grad, Tensor x, Tensor weight, Tensor mean, Tensor var, Tensor nodes, Tensor counted,"
    " float eps) -> (Tensor, Tensor, Tensor)",
    _compiled_norm_backward,
    plain_norm_backward,
    lambda grad, x, weight, *others: (torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)),
)
