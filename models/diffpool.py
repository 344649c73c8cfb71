"""DiffPool, first version: soft clusters by a graph network (Ying et al. 2018; the paper, Section 2.3)."""

import math
from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.graphs.levels import DenseLevel, Level, SparseLevel
from rethinking.graphs.topology import Topology
from rethinking.layers.convolutions import Probe, SageConv
from rethinking.layers.linear import Linear
from rethinking.layers.norm import BatchNorm
from rethinking.models.family import Output
from rethinking.models.inputs import DataShape, encoder
from rethinking.pooling import dense
from rethinking.pooling.assignment import Assignment, MakeAssignment


class DiffPool(nn.Module):
    """conv → (pool → 3 SAGE convolutions) × pools → max over clusters → Linear(h, m) → ReLU → Linear(m, out).

    Pooling: Z = SAGE(A, X), X' = Sᵀ Z (Eq. 5), A' = Sᵀ A S. Layer l has ceil(ratio · nodes before it) clusters.
    The losses `link` and `entropy` apply to a Select that learns (`has_loss`) only. On molecules a convolution that
    sees bonds comes before all this. With `convs_before_pool=1` the initial convolution is left out and its kind
    embeds the nodes of the first pooling layer (Table 2, "1 convolution"). With more than 2, as many more SAGE
    convolutions follow the initial one, as they do a pooling layer (the other reading of the paper's Appendix A).
    """

    def __init__(
        self,
        replicas: int,
        shape: DataShape,
        select: MakeAssignment,
        initial: Callable[..., nn.Module],
        pools: int,
        hidden: int,
        mlp_hidden: int,
        ratio: float,
        convs_before_pool: int,
        link_weight: float,
        entropy_weight: float,
    ) -> None:
        super().__init__()
        if min(pools, hidden, mlp_hidden) < 1 or not 0 < ratio <= 1 or convs_before_pool < 1:
            raise ValueError(
                f"pools={pools}, hidden={hidden}, mlp_hidden={mlp_hidden}, ratio={ratio}, "
                f"convs_before_pool={convs_before_pool}; expected at least 1 each, and a ratio in (0, 1]"
            )
        self.link_weight = link_weight
        self.entropy_weight = entropy_weight
        self.encoder, width = encoder(replicas, shape, hidden)
        nodes = shape.max_nodes
        self.initial = nn.ModuleList()
        if convs_before_pool >= 2:
            self.initial.append(initial(replicas=replicas, in_features=width, out_features=hidden))
            width = hidden
        more = convs_before_pool - 2
        self.more = _SageBlock(replicas, hidden, convs=more) if more > 0 else None
        self.selects, self.embeds, self.blocks = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for number in range(pools):
            clusters = math.ceil(ratio * nodes)
            self.selects.append(select(replicas=replicas, in_features=width, max_nodes=nodes, clusters=clusters))
            # The only convolution is the one that the data set calls for: on constant features a mean sees nothing.
            only = convs_before_pool == 1 and number == 0
            make: Callable[..., nn.Module] = initial if only else SageConv
            self.embeds.append(make(replicas=replicas, in_features=width, out_features=hidden))
            self.blocks.append(_SageBlock(replicas, hidden, convs=3))
            width, nodes = hidden, clusters
        self.before, self.after = Probe(), Probe()
        self.head = Linear(replicas, hidden, mlp_hidden)
        self.out = Linear(replicas, mlp_hidden, shape.out_features)

    def prepare(self, topology: Topology, keys: np.ndarray) -> Topology:
        """Nothing is drawn."""
        return topology

    def forward(self, x: Tensor, topology: Topology) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out] and the losses `link` and `entropy`."""
        level: Level = SparseLevel(topology, x.device)
        losses = x.new_zeros(2, len(x))
        x = self.encoder(x, topology)
        for conv in self.initial:
            x = conv(x, level)
        if self.more is not None:
            x = self.more(torch.relu_(x), level)
        for select, embed, block in zip(self.selects, self.embeds, self.blocks, strict=True):
            x, level, added = pool(self.before(x, level), level, cast(Assignment, select), embed)
            losses = losses + added
            x = block(self.after(x, level), level)
        x = level.per_graph(x).amax(dim=2)
        weighted = {"link": self.link_weight * losses[0], "entropy": self.entropy_weight * losses[1]}
        return self.out(torch.relu_(self.head(x))), weighted


def pool(x: Tensor, level: Level, select: Assignment, embed: nn.Module) -> tuple[Tensor, DenseLevel, Tensor]:
    """One pooling layer: X' = Sᵀ embed(A, X) (Eq. 5), A' = Sᵀ A S.

    x: [R, N, F]. Returns X' [R, B·k, F'], its level, and the losses link and entropy, [2, R]; zero where the Select
    has none.
    """
    assignment = select(x, level)
    coarse = dense.connect(assignment, level)
    losses = x.new_zeros(2, len(x))
    if select.has_loss:
        view = select.view(level)
        seen = coarse if view is level else dense.connect(assignment, view)
        losses = torch.stack([dense.link_loss(assignment, seen, view), dense.entropy_loss(assignment, level)])
    return dense.reduce(embed(x, level), assignment, level), DenseLevel(coarse), losses


class _SageBlock(nn.Module):
    """SAGE convolutions: each but the last followed by ReLU, batch normalisation and a residual connection."""

    def __init__(self, replicas: int, hidden: int, convs: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(SageConv(replicas, hidden, hidden) for _ in range(convs))
        self.norms = nn.ModuleList(BatchNorm(replicas, hidden) for _ in range(convs - 1))

    def forward(self, x: Tensor, level: Level) -> Tensor:
        for conv, norm in zip(self.convs[:-1], self.norms, strict=True):
            x = norm(torch.relu_(conv(x, level)), level) + x
        return self.convs[-1](x, level)
