"""Convolutions with a replica axis, on any level of coarsening."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from rethinking.graphs.affine import affine
from rethinking.graphs.levels import Level
from rethinking.layers.initial import InitialDraw, ReplicaLayer
from rethinking.layers.linear import Linear
from rethinking.layers.norm import BatchNorm


class GraphConv(ReplicaLayer):
    """X W1 + A X W2 + b, the convolution of Eq. 1 before its ReLU (PyG's `GraphConv`, sum over incoming edges).

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

    def forward(self, x: Tensor, level: Level, relu: bool = False) -> Tensor:
        """x: [R, N, in]. relu: apply it to the result. Returns [R, N, out]."""
        return level.convolve_incoming(x, self.weight, self.bias, relu)


class DenseGraphConv(GraphConv):
    """The same convolution over those a node points to, as PyG's `DenseGraphConv`; no difference if undirected."""

    def forward(self, x: Tensor, level: Level, relu: bool = False) -> Tensor:
        """x: [R, N, in]. relu: apply it to the result. Returns [R, N, out]."""
        return level.convolve_outgoing(x, self.weight, self.bias, relu)


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
        means = level.mean_with_self(x) if self.with_self else level.neighbour_mean(x)
        weight, bias = self.linear.parameters()
        return affine(means, weight, bias, self.unit_length)


class SeparateSageConv(GraphConv):
    """X W1 + (mean over neighbours) W2 + b: `DenseSAGEConv` of PyG ≥ 1.5.

    The node itself has a weight of its own and is no neighbour of its own. Rows of A are averaged, as in `SageConv`.
    unit_length: every node's output is scaled to length one.
    """

    def __init__(self, replicas: int, in_features: int, out_features: int, unit_length: bool = True) -> None:
        super().__init__(replicas, in_features, out_features)
        self.unit_length = unit_length

    def forward(self, x: Tensor, level: Level, relu: bool = False) -> Tensor:
        """x: [R, N, in]. relu: apply it to the result. Returns [R, N, out]."""
        beside = torch.cat([x, level.neighbour_mean(x)], dim=-1)
        out = affine(beside, self.weight, self.bias, self.unit_length)
        return torch.relu_(out) if relu else out


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
            x = norm(conv(x, level), level, relu_before=True)
            outputs.append(x)
        return torch.cat([*outputs, self.convs[-1](x, level)], dim=-1)
