"""DiffPool, second version: deeper graph networks, as in Errica et al. 2020 (the paper, Table S5)."""

import math
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.graphs.levels import Level, SparseLevel
from rethinking.graphs.topology import Topology
from rethinking.layers.convolutions import GraphConv, Probe, SageStack
from rethinking.layers.linear import Linear
from rethinking.models.diffpool import pool
from rethinking.models.family import Output
from rethinking.models.inputs import DataShape, encoder
from rethinking.pooling.assignment import Assignment, MakeAssignment


class DiffPoolV2(nn.Module):
    """pool × pools → SAGE stack; the maxima over clusters after each of them → Linear → ReLU → Linear(m, out).

    The embedding network of a pooling layer is a SAGE stack, and so is that of the family's own Select. sum_first: a
    `GraphConv` from and to the width of the features comes before. On molecules a convolution that sees bonds does.
    The losses `link` and `entropy` apply to a Select that learns (`has_loss`) only.
    """

    def __init__(
        self,
        replicas: int,
        shape: DataShape,
        select: MakeAssignment,
        pools: int,
        hidden: int,
        mlp_hidden: int,
        ratio: float,
        sum_first: bool,
        link_weight: float,
        entropy_weight: float,
        norm_counts_padding: bool,
    ) -> None:
        super().__init__()
        if min(pools, hidden, mlp_hidden) < 1 or not 0 < ratio <= 1:
            raise ValueError(
                f"pools={pools}, hidden={hidden}, mlp_hidden={mlp_hidden}, ratio={ratio}; "
                "expected at least 1 each, and a ratio in (0, 1]"
            )
        self.link_weight = link_weight
        self.entropy_weight = entropy_weight
        self.encoder, width = encoder(replicas, shape, hidden)
        self.first = GraphConv(replicas, width, width) if sum_first else None
        self.selects, self.embeds = nn.ModuleList(), nn.ModuleList()
        nodes = shape.max_nodes
        for _ in range(pools):
            clusters = math.ceil(ratio * nodes)
            self.selects.append(select(replicas=replicas, in_features=width, max_nodes=nodes, clusters=clusters))
            embed = SageStack(replicas, width, hidden, hidden, norm_counts_padding)
            self.embeds.append(embed)
            width, nodes = embed.out_features, clusters
        self.last = SageStack(replicas, width, hidden, hidden, norm_counts_padding)
        self.before, self.after = Probe(), Probe()
        self.head = Linear(replicas, (pools + 1) * width, mlp_hidden)
        self.out = Linear(replicas, mlp_hidden, shape.out_features)

    def prepare(self, topology: Topology, keys: np.ndarray) -> Topology:
        """Nothing is drawn."""
        return topology

    def forward(self, x: Tensor, topology: Topology) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out] and the losses `link` and `entropy`."""
        level: Level = SparseLevel(topology, x.device)
        losses = x.new_zeros(2, len(x))
        x = self.encoder(x, topology)
        if self.first is not None:
            x = self.first(x, topology)
        maxima = []
        for select, embed in zip(self.selects, self.embeds, strict=True):
            x, level, added = pool(self.before(x, level), level, cast(Assignment, select), embed)
            losses = losses + added
            x = self.after(x, level)
            maxima.append(level.per_graph(x).amax(dim=2))
        maxima.append(level.per_graph(self.last(x, level)).amax(dim=2))
        x = torch.relu_(self.head(torch.cat(maxima, dim=-1)))
        return self.out(x), {"link": self.link_weight * losses[0], "entropy": self.entropy_weight * losses[1]}
