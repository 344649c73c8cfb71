"""Layers with a replica axis: R independent copies of a layer, computed together.

Parameters are `[R, …]`, node features `[R, N, F]`. A layer draws its initial values through
`reset`, one named random stream a parameter, so equal-named layers of two variants start equal.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rethinking.models.aggregation import with_neighbour_sum
from rethinking.pooling.levels import Level, NodeSets
from rethinking.pooling.topology import Topology
from rethinking.randomness import stream, stream_key

# What a network returns: predictions [R, B, out], and auxiliary losses by name, [R] each, weighted.
Output = tuple[Tensor, dict[str, Tensor]]


@dataclass(frozen=True)
class InitialDraw:
    """The `init` streams of R seeds, for the layer that lies at `prefix` in the model."""

    seeds: Sequence[int]
    prefix: str

    def uniform(self, parameter: Tensor, name: str, bound: float, low: float | None = None) -> None:
        """Fill `parameter` [R, …], of that name, with U(−bound, bound), or with U(low, bound)."""
        for replica, seed in enumerate(self.seeds):
            generator = stream(seed, "init", f"{self.prefix}.{name}")
            values = generator.uniform(-bound if low is None else low, bound, parameter.shape[1:])
            with torch.no_grad():
                parameter[replica] = torch.from_numpy(values)

    @torch.no_grad()
    def normal(self, parameter: Tensor, name: str) -> None:
        """Fill `parameter` [R, …], of that name, with N(0, 1)."""
        for replica, seed in enumerate(self.seeds):
            values = stream(seed, "init", f"{self.prefix}.{name}").normal(size=parameter.shape[1:])
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

    def __init__(self, replicas: int, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(replicas, in_features, out_features))
        self.bias = nn.Parameter(torch.empty(replicas, 1, out_features)) if bias else None

    def reset(self, draw: InitialDraw) -> None:
        """U(±1/√in) for weight and bias."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        draw.uniform(self.weight, "weight", bound)
        if self.bias is not None:
            draw.uniform(self.bias, "bias", bound)

    def forward(self, x: Tensor) -> Tensor:
        """x: [R, N, in]. Returns [R, N, out]."""
        return torch.bmm(x, self.weight) if self.bias is None else torch.baddbmm(self.bias, x, self.weight)


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
    """mean over neighbours · W + b: the released code's SAGE convolution (PyG 1.4.3, `DenseSAGEConv`).

    Rows of A are averaged (`A X / max(rowsum, 1)`); there is one weight, and no separate one for the node itself.
    with_self: the diagonal of A is set to one. unit_length: every node's output is scaled to length one.
    The first version of DiffPool has both, the second neither.
    """

    def __init__(
        self, replicas: int, in_features: int, out_features: int, with_self: bool = True, unit_length: bool = True
    ) -> None:
        super().__init__()
        self.linear = Linear(replicas, in_features, out_features)
        self.with_self = with_self
        self.unit_length = unit_length

    def reset(self, draw: InitialDraw) -> None:
        """Nothing of its own: the linear layer draws its weights."""

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """x: [R, N, in]. Returns [R, N, out]."""
        x = self.linear(level.mean_with_self(x) if self.with_self else level.neighbour_mean(x))
        return F.normalize(x, dim=-1) if self.unit_length else x


class SageStack(nn.Module):
    """[H1 | H2 | H3], three SAGE convolutions; H1 and H2 after ReLU and batch normalisation (DiffPool, second version).

    out_features: the width of the result, 2 · hidden + last.
    """

    def __init__(self, replicas: int, in_features: int, hidden: int, last: int, norm_counts_padding: bool) -> None:
        super().__init__()
        widths = [in_features, hidden, hidden, last]
        self.convs = nn.ModuleList(
            SageConv(replicas, first, second, with_self=False, unit_length=False) for first, second in pairwise(widths)
        )
        self.norms = nn.ModuleList(BatchNorm(replicas, hidden, norm_counts_padding) for _ in range(2))
        self.out_features = 2 * hidden + last

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """x: [R, N, in]. Returns [R, N, out_features]."""
        outputs = []
        for conv, norm in zip(self.convs[:-1], self.norms, strict=True):
            x = norm(torch.relu_(conv(x, level)), level)
            outputs.append(x)
        return torch.cat([*outputs, self.convs[-1](x, level)], dim=-1)


class Probe(nn.Module):
    """Passes node features on; a hook sees them here, with the graphs they belong to, before or after a pooling layer.

    For figures and measures of activations, which then need to know nothing of a family.
    """

    def forward(self, x: Tensor, level: Any) -> Tensor:
        """x: [R, N, F]. level: a level or topology of that width. Returns x."""
        return x


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
        mean, var = self.running_mean, self.running_var
        if self.training:
            count, mean, var = self._statistics(x, level)
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(var * (count / (count - 1).clamp(min=1)), self.momentum)
        return (x - mean) * (self.weight * (var + self.eps).rsqrt()) + self.bias

    def _statistics(self, x: Tensor, level: NodeSets) -> tuple[Tensor, Tensor, Tensor]:
        """How many rows count, their mean and their variance; [R, 1, 1], [R, 1, F] and [R, 1, F]."""
        if level.present is None:
            var, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
            return torch.full_like(mean[..., :1], x.shape[1]), mean, var
        nodes = level.sizes.sum(dim=1).to(x.dtype)[:, None, None]
        count = nodes
        if self.counts_padding:
            count = (level.graphs * level.sizes.amax(dim=1)).to(x.dtype)[:, None, None]
        mean = (x * level.present).sum(dim=1, keepdim=True) / count
        squares = ((x - mean) * level.present).square().sum(dim=1, keepdim=True)
        return count, mean, (squares + (count - nodes) * mean.square()) / count


def initialise(model: nn.Module, seeds: Sequence[int]) -> None:
    """Draw every parameter of `model` from the `init` streams of the seeds, one stream a parameter name.

    Raises ValueError for a parameter or buffer without the replica axis, or a parameter that no layer draws.
    """
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        if value.dim() == 0 or len(value) != len(seeds):
            raise ValueError(f"{name} has the shape {list(value.shape)}; expected the replica axis first, {len(seeds)}")
    for parameter in model.parameters():
        nn.init.constant_(parameter, math.nan)
    for prefix, layer in model.named_modules():
        if isinstance(layer, ReplicaLayer):
            layer.reset(InitialDraw(seeds, prefix))
    for name, parameter in model.named_parameters():
        if parameter.isnan().any():
            raise ValueError(f"{name} has no initial value: the `reset` of its layer does not draw it")
