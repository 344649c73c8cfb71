"""DiffPool, second version: deeper graph networks, as in Errica et al. 2020 (the paper, Table S5)."""

import torch
from torch import Tensor, nn

from rethinking.graphs.levels import SparseLevel
from rethinking.layers.convolutions import DenseGraphConv, SageStack
from rethinking.layers.linear import Linear
from rethinking.models.diffpool import diffpool_layer
from rethinking.models.family import Output, at_least_one, shrinking, weighted_losses
from rethinking.models.inputs import DataShape, encoder
from rethinking.pooling.select import MakeSelect


class DiffPoolV2(nn.Module):
    """pool × pools → SAGE stack; the maxima over clusters after each of them → Linear → ReLU → Linear(m, out).

    The embedding network of a pooling layer is a SAGE stack, and so is that of the family's own Select. sum_first: a
    `DenseGraphConv` from and to the width of the features comes before; on molecules, one that sees bonds does.
    The losses `link` and `entropy` apply to a Select that learns (`has_loss`) only.
    """

    def __init__(
        self,
        replicas: int,
        shape: DataShape,
        select: MakeSelect,
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
        at_least_one(pools=pools, hidden=hidden, mlp_hidden=mlp_hidden)
        self.weights = {"link": link_weight, "entropy": entropy_weight}
        self.encoder, width = encoder(replicas, shape, hidden)
        self.first = DenseGraphConv(replicas, width, width) if sum_first else None
        self.pools = nn.ModuleList()
        for nodes, clusters in shrinking(shape.max_nodes, ratio, pools):
            chosen = select(replicas=replicas, in_features=width, max_nodes=nodes, clusters=clusters)
            embed = SageStack(replicas, width, hidden, hidden, norm_counts_padding)
            self.pools.append(diffpool_layer(chosen, embed))
            width = embed.out_features
        self.last = SageStack(replicas, width, hidden, hidden, norm_counts_padding)
        self.head = Linear(replicas, (pools + 1) * width, mlp_hidden)
        self.out = Linear(replicas, mlp_hidden, shape.out_features)

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out] and the losses `link` and `entropy`."""
        x = self.encoder(x, level)
        if self.first is not None:
            x = self.first(x, level)
        layers, maxima = [], []
        for pool in self.pools:
            pooled = pool(x, level)
            layers.append(pooled)
            x, level = pooled.x, pooled.level
            maxima.append(level.graph_max(x))
        maxima.append(level.graph_max(self.last(x, level)))
        x = torch.relu_(self.head(torch.cat(maxima, dim=-1)))
        return self.out(x), weighted_losses(layers, self.weights)
