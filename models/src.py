"""The classifier of Grattarola et al. 2022 ("Understanding pooling in graph neural networks", experiment 3).

As its code has it, around any pooling layer. That has two layers called GeneralConv: this one is its own, in which
weights of edges count; `rethinking/scorecard/autoencoder.py` has the other, in which they do not.
"""

import math
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn

from rethinking.graphs.dense import SetLevel
from rethinking.graphs.levels import Level, NodeSets, SparseLevel
from rethinking.layers.linear import GlorotLinear
from rethinking.models.family import Output, a_share, at_least_one
from rethinking.models.inputs import DataShape, encoder
from rethinking.pooling.foreign import MakePool


class MakeNorm(Protocol):
    """Makes a batch normalisation."""

    def __call__(self, replicas: int, features: int) -> nn.Module:
        """features: the width of what is normalised."""
        ...


class SrcClassifier(nn.Module):
    """MLP(h, h) → GeneralConv → pool → GeneralConv → sum over nodes → MLP(h, out), h = hidden.

    Each GeneralConv has its own input beside its output, so widths are 2h before and 3h after pooling. norm: of every
    linear layer, that before the softmax too. ratio: of the nodes that a pooling layer keeps; where an operator has a
    fixed number of clusters, it is ⌊ratio · ⌈mean number of nodes⌉⌋. The losses of the pooling layer have the weight 1.
    """

    def __init__(
        self, replicas: int, shape: DataShape, select: MakePool, norm: MakeNorm, hidden: int, ratio: float
    ) -> None:
        super().__init__()
        at_least_one(hidden=hidden)
        a_share(ratio)
        self.encode, width = encoder(replicas, shape, hidden)
        self.before = Perceptron(replicas, [width, hidden, hidden], norm)
        self.first = GeneralConv(replicas, hidden, hidden, norm)
        self.pool = select(
            replicas=replicas,
            in_features=2 * hidden,
            max_nodes=shape.max_nodes,
            clusters=max(1, math.floor(ratio * math.ceil(shape.mean_nodes))),
            ratio=ratio,
        )
        self.second = GeneralConv(replicas, self.pool.out_features, hidden, norm)
        self.after = Perceptron(replicas, [self.pool.out_features + hidden, hidden, shape.out_features], norm)

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out] and the losses of the pooling layer."""
        x = self.before(self.encode(x, level), level)
        x = torch.cat([self.first(x, level), x], dim=-1)
        pooled = self.pool(x, level)
        x = torch.cat([self.second(pooled.x, pooled.level), pooled.x], dim=-1)
        # Of a graph there is one row now.
        whole = SetLevel(level.replicas, level.graphs, 1, level.device)
        return self.after(pooled.level.graph_sum(x), whole), pooled.losses


class Perceptron(nn.Module):
    """Linear → norm → ReLU → … → Linear → norm. widths: of its input, and of each layer."""

    def __init__(self, replicas: int, widths: list[int], norm: MakeNorm) -> None:
        super().__init__()
        self.linears = nn.ModuleList(GlorotLinear(replicas, first, second) for first, second in pairwise(widths))
        self.norms = nn.ModuleList(norm(replicas, width) for width in widths[1:])

    def forward(self, x: Tensor, level: NodeSets) -> Tensor:
        """x: [R, N, widths[0]]. Returns [R, N, widths[-1]]."""
        for number, (linear, norm) in enumerate(zip(self.linears, self.norms, strict=True)):
            x = norm(linear(x if number == 0 else x.relu()), level)
        return x


class GeneralConv(nn.Module):
    """A · ReLU(norm(X W + b)), with the weights of edges and without the node itself (You et al. 2020)."""

    def __init__(self, replicas: int, in_features: int, out_features: int, norm: MakeNorm) -> None:
        super().__init__()
        self.linear, self.norm = GlorotLinear(replicas, in_features, out_features), norm(replicas, out_features)

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """x: [R, N, in_features]. Returns [R, N, out_features]."""
        return level.neighbour_sum(self.norm(self.linear(x), level).relu())
