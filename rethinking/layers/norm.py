"""Batch normalisation with a replica axis, and its operator of torch's."""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn

from rethinking.graphs.levels import NodeSets
from rethinking.graphs.segments import present_rows
from rethinking.layers.initial import InitialDraw, ReplicaLayer
from rethinking.operators import define


class BatchNorm(ReplicaLayer):
    """Batch normalisation of every replica by its own statistics, as `torch.nn.BatchNorm1d` over its nodes.

    counts_padding: as the released code, count rows of zeros by which all graphs of a batch are as large as its
    largest, so that the statistics depend on that (fidelity ledger, row 13).
    momentum: by how much a batch moves the running statistics. eps: is added to the variance. Torch's by default.
    """

    def __init__(
        self, replicas: int, features: int, counts_padding: bool = False, momentum: float = 0.1, eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.counts_padding, self.momentum, self.eps = counts_padding, momentum, eps
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

    def forward(self, x: Tensor, level: NodeSets, relu_before: bool = False, residual: Tensor | None = None) -> Tensor:
        """x: [R, N, F]. Returns [R, N, F]; undefined in padding rows.

        relu_before: normalise ReLU(x). residual: added to the result, [R, N, F].
        """
        if not self.training:
            x = x.relu() if relu_before else x
            x = (x - self.running_mean) * (self.weight * (self.running_var + self.eps).rsqrt()) + self.bias
            return x if residual is None else x + residual
        counted = level.padded_count if self.counts_padding else level.node_count
        out, mean, unbiased = _Normalise.apply(
            x, self.weight, self.bias, residual, level.node_count, counted, self.eps, relu_before
        )
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
        return out


class _Normalise(torch.autograd.Function):
    """Returns also the mean and the unbiased variance of each replica, [R, 1, F], through which no gradient comes."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        residual: Tensor | None,
        nodes: Tensor,
        counted: Tensor,
        eps: float,
        relu: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        out, mean, var, unbiased = _operator(x, weight, bias, residual, nodes, counted, eps, relu)
        ctx.save_for_backward(x, weight, mean, var, nodes, counted)
        ctx.options = (eps, relu)
        ctx.mark_non_differentiable(mean, unbiased)
        ctx.set_materialize_grads(False)
        return out, mean, unbiased

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *unused: Tensor) -> tuple[Tensor | None, ...]:
        of_residual = grad if ctx.needs_input_grad[3] else None
        return *_backward_operator(grad, *ctx.saved_tensors, *ctx.options), of_residual, None, None, None, None


def plain_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    residual: Tensor | None,
    nodes: Tensor,
    counted: Tensor,
    eps: float,
    relu: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The normalised rows [R, N, F], the mean, the variance and the unbiased one [R, 1, F], in plain torch.

    nodes: how many rows of each replica are nodes, its first ones; counted: how many count, the others as zeros; [R].
    """
    x = x.relu() if relu else x
    present, count = present_rows(x, nodes), counted.to(x.dtype)[:, None, None]
    mean = (x * present).sum(dim=1, keepdim=True) / count
    squares = ((x - mean) * present).square().sum(dim=1, keepdim=True)
    squares = squares + (counted - nodes).to(x.dtype)[:, None, None] * mean.square()
    var = squares / count
    out = (x - mean) * (weight * (var + eps).rsqrt()) + bias
    return out if residual is None else out + residual, mean, var, squares / (count - 1).clamp(min=1)


def plain_norm_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    mean: Tensor,
    var: Tensor,
    nodes: Tensor,
    counted: Tensor,
    eps: float,
    relu: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias in plain torch."""
    passes = present_rows(x, nodes)
    if relu:
        # As torch's ReLU: where x is not a number the gradient passes.
        passes, x = passes & ~(x <= 0), x.relu()
    scale = (var + eps).rsqrt()
    grad, straight = grad * present_rows(x, nodes), (x - mean) * scale
    grad_bias = grad.sum(dim=1, keepdim=True)
    grad_weight = (grad * straight).sum(dim=1, keepdim=True)
    count = counted.to(x.dtype)[:, None, None]
    grad_x = weight * scale * (grad - grad_bias / count - straight * grad_weight / count)
    return grad_x * passes, grad_weight, grad_bias


def _compiled_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    residual: Tensor | None,
    nodes: Tensor,
    counted: Tensor,
    eps: float,
    relu: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    out, mean, var, unbiased = _like_x(x, weight, 3)
    added = x if residual is None else residual
    arrays = [tensor.contiguous().numpy() for tensor in (x, weight, bias, added, nodes, counted)]
    results = (tensor.numpy() for tensor in (out, mean, var, unbiased))
    _norm(*arrays, eps, relu, residual is not None, *results)  # type: ignore[call-arg]
    return out, mean, var, unbiased


def _compiled_norm_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    mean: Tensor,
    var: Tensor,
    nodes: Tensor,
    counted: Tensor,
    eps: float,
    relu: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    grad_x, grad_weight, grad_bias = _like_x(x, mean, 2)
    arrays = [tensor.contiguous().numpy() for tensor in (grad, x, weight, mean, var, nodes, counted)]
    results = (tensor.numpy() for tensor in (grad_x, grad_weight, grad_bias))
    _norm_backward(*arrays, eps, relu, *results)  # type: ignore[call-arg]
    return grad_x, grad_weight, grad_bias


# Sums in double precision: in single they lose up to some per cent of a small variance.
@njit(cache=True, nogil=True, error_model="numpy")
def _norm(x, weight, bias, residual, nodes, counted, eps, relu, adds, out, mean, var, unbiased):
    replicas, width, features = x.shape
    sums, middle = np.empty(features), np.empty(features, x.dtype)
    shift, scale = np.empty(features, x.dtype), np.empty(features, x.dtype)
    # ReLU as a bound; what is not a number is not below it, and stays.
    lowest = x.dtype.type(0) if relu else x.dtype.type(-np.inf)
    for r in range(replicas):
        values, results, added = x[r], out[r], residual[r]
        sums[:] = 0
        for i in range(nodes[r]):
            for f in range(features):
                value = values[i, f]
                sums[f] += lowest if value < lowest else value
        for f in range(features):
            middle[f] = sums[f] / counted[r]
        sums[:] = 0
        for i in range(nodes[r]):
            for f in range(features):
                value = values[i, f]
                off = (lowest if value < lowest else value) - middle[f]
                sums[f] += off * off
        for f in range(features):
            own = np.float64(middle[f])
            squares = sums[f] + (counted[r] - nodes[r]) * own * own
            mean[r, 0, f] = own
            var[r, 0, f] = squares / counted[r]
            unbiased[r, 0, f] = squares / max(counted[r] - 1, 1)
            slope = weight[r, 0, f] / np.sqrt(squares / counted[r] + eps)
            scale[f] = slope
            shift[f] = bias[r, 0, f] - own * slope
        if adds:
            for i in range(width):
                for f in range(features):
                    value = values[i, f]
                    results[i, f] = (lowest if value < lowest else value) * scale[f] + shift[f] + added[i, f]
        else:
            for i in range(width):
                for f in range(features):
                    value = values[i, f]
                    results[i, f] = (lowest if value < lowest else value) * scale[f] + shift[f]


@njit(cache=True, nogil=True, error_model="numpy")
def _norm_backward(grad, x, weight, mean, var, nodes, counted, eps, relu, grad_x, grad_weight, grad_bias):
    replicas, _, features = x.shape
    sums, along = np.empty(features), np.empty(features)
    on_grad, on_x = np.empty(features, x.dtype), np.empty(features, x.dtype)
    rest, middle = np.empty(features, x.dtype), np.empty(features, x.dtype)
    zero = x.dtype.type(0)
    lowest = zero if relu else x.dtype.type(-np.inf)
    for r in range(replicas):
        values, given, back = x[r], grad[r], grad_x[r]
        sums[:] = 0
        along[:] = 0
        for f in range(features):
            middle[f] = mean[r, 0, f]
        for i in range(nodes[r]):
            for f in range(features):
                sums[f] += given[i, f]
            for f in range(features):
                value = values[i, f]
                along[f] += given[i, f] * ((lowest if value < lowest else value) - middle[f])
        for f in range(features):
            scale = 1 / np.sqrt(np.float64(var[r, 0, f]) + eps)
            grad_bias[r, 0, f] = sums[f]
            grad_weight[r, 0, f] = along[f] * scale
            # grad_x = w s (grad − Σ grad / n − (x − mean) s² Σ grad (x − mean) / n), s the scale.
            slope = weight[r, 0, f] * scale
            on_grad[f] = slope
            on_x[f] = -slope * scale * scale * along[f] / counted[r]
            rest[f] = -slope * sums[f] / counted[r]
        if relu:
            for i in range(nodes[r]):
                for f in range(features):
                    value = values[i, f]
                    slope = given[i, f] * on_grad[f] + (value - middle[f]) * on_x[f] + rest[f]
                    back[i, f] = zero if value <= lowest else slope
        else:
            for i in range(nodes[r]):
                for f in range(features):
                    back[i, f] = given[i, f] * on_grad[f] + (values[i, f] - middle[f]) * on_x[f] + rest[f]
        back[nodes[r] :] = 0


def _like_x(x: Tensor, weight: Tensor, count: int) -> tuple[Tensor, ...]:
    return x.new_empty(x.shape), *(weight.new_empty(weight.shape) for _ in range(count))


_operator = define(
    "batch_norm(Tensor x, Tensor weight, Tensor bias, Tensor? residual, Tensor nodes, Tensor counted, float eps,"
    " bool relu) -> (Tensor, Tensor, Tensor, Tensor)",
    _compiled_norm,
    plain_norm,
    lambda x, weight, *others: _like_x(x, weight, 3),
)
_backward_operator = define(
    "batch_norm_backward(Tensor grad, Tensor x, Tensor weight, Tensor mean, Tensor var, Tensor nodes, Tensor counted,"
    " float eps, bool relu) -> (Tensor, Tensor, Tensor)",
    _compiled_norm_backward,
    plain_norm_backward,
    lambda grad, x, weight, *others: _like_x(x, weight, 2),
)
