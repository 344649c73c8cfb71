"""Layers with a replica axis: R independent copies of a layer, computed together.

Parameters are `[R, …]`, node features `[R, N, F]`. A layer draws its initial values through
`reset`, one named random stream a parameter, so equal-named layers of two variants start equal.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.models.aggregation import with_neighbour_sum
from rethinking.pooling.levels import Level
from rethinking.pooling.topology import Topology
from rethinking.randomness import stream, stream_key

# What a network returns: predictions [R, B, out], and auxiliary losses by name, [R] each, weighted.
Output = tuple[Tensor, dict[str, Tensor]]


@dataclass(frozen=True)
class InitialDraw:
    """The `init` streams of R seeds, for the layer that lies at `prefix` in the model."""

    seeds: Sequence[int]
    prefix: str

    @torch.no_grad()
    def uniform(self, parameter: Tensor, name: str, bound: float) -> None:
        """Fill `parameter` [R, …], of that name, with U(−bound, bound)."""
        for replica, seed in enumerate(self.seeds):
            values = stream(seed, "init", f"{self.prefix}.{name}").uniform(-bound, bound, parameter.shape[1:])
            parameter[replica] = torch.from_numpy(values)

    def assignment_streams(self) -> list[np.random.Generator]:
        """The `assignment` stream of each replica, for what is drawn once and not trained."""
        return [stream(seed, "assignment", self.prefix) for seed in self.seeds]

    def torch_seeds(self) -> list[int]:
        """A seed for each replica, for layers that draw by torch's own generator."""
        return [stream_key(seed, "init", self.prefix) >> 1 for seed in self.seeds]


class ReplicaLayer(nn.Module):
    """A layer with parameters of its own, all [R, …], as are its buffers; `initialise` calls its `reset`."""

    def reset(self, draw: InitialDraw) -> None:
        """Draw the initial value of every parameter of this layer."""
        raise NotImplementedError


class Linear(ReplicaLayer):
    """x W + b, initialised as `torch.nn.Linear`."""

    def __init__(self, replicas: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(replicas, in_features, out_features))
        self.bias = nn.Parameter(torch.empty(replicas, 1, out_features))

    def reset(self, draw: InitialDraw) -> None:
        """U(±1/√in) for weight and bias."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        draw.uniform(self.weight, "weight", bound)
        draw.uniform(self.bias, "bias", bound)

    def forward(self, x: Tensor) -> Tensor:
        """x: [R, N, in]. Returns [R, N, out]."""
        return torch.baddbmm(self.bias, x, self.weight)


class GraphConv(ReplicaLayer):
    """X W1 + A X W2 + b, the convolution of Eq. 1 before its ReLU (PyG's `GraphConv`, sum aggregation).

    `weight` [R, 2·in, out] holds W1 above W2: one product instead of two.
    """

    def __init__(self, replicas: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.weight = nn.Parameter(torch.empty(replicas, 2 * in_features, out_features))
        self.bias = nn.Parameter(torch.empty(replicas, 1, out_features))

    def reset(self, draw: InitialDraw) -> None:
        """U(±1/√in) for weight and bias."""
        bound = 1 / math.sqrt(self.in_features)
        draw.uniform(self.weight, "weight", bound)
        draw.uniform(self.bias, "bias", bound)

    def forward(self, x: Tensor, topology: Topology) -> Tensor:
        """x: [R, N, in]. Returns [R, N, out]."""
        return torch.baddbmm(self.bias, with_neighbour_sum(x, topology), self.weight)


class DenseGraphConv(GraphConv):
    """The same convolution on any level, so on dense weighted graphs too (PyG's `DenseGraphConv`)."""

    def forward(self, x: Tensor, level: Level) -> Tensor:  # type: ignore[override]
        """x: [R, N, in]. Returns [R, N, out]."""
        both = torch.cat([x, level.neighbour_sum(x)], dim=-1)
        return torch.baddbmm(self.bias, both, self.weight)


class SageConv(ReplicaLayer):
    """normalise(mean over a node and its neighbours · W + b): the released code's SAGE convolution.

    The diagonal of A is set to one, rows are averaged (`A X / max(rowsum, 1)`), there is one weight and no
    separate root weight, and every node's output is scaled to length one (PyG 1.4.3, `DenseSAGEConv`).
    """

    def __init__(self, replicas: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear = Linear(replicas, in_features, out_features)

    def reset(self, draw: InitialDraw) -> None:
        """Nothing of its own: the linear layer draws its weights."""

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """x: [R, N, in]. Returns [R, N, out]."""
        return torch.nn.functional.normalize(self.linear(level.mean_with_self(x)), dim=-1)


class BatchNorm(ReplicaLayer):
    """Batch normalisation of every replica by its own statistics, as `torch.nn.BatchNorm1d` over its rows.

    For levels without padding: every row counts.
    """

    momentum = 0.1
    eps = 1e-5

    def __init__(self, replicas: int, features: int) -> None:
        super().__init__()
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

    def forward(self, x: Tensor) -> Tensor:
        """x: [R, N, F]. Returns [R, N, F]."""
        mean, var = self.running_mean, self.running_var
        if self.training:
            var, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
            with torch.no_grad():
                unbiased = var * (x.shape[1] / max(x.shape[1] - 1, 1))
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(unbiased, self.momentum)
        return (x - mean) * (self.weight * (var + self.eps).rsqrt()) + self.bias


def initialise(model: nn.Module, seeds: Sequence[int]) -> None:
    """Draw every parameter of `model` from the `init` streams of the seeds, one stream a parameter name."""
    for prefix, layer in model.named_modules():
        if isinstance(layer, ReplicaLayer):
            layer.reset(InitialDraw(seeds, prefix))
