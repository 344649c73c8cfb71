"""MinCutPool: soft clusters by a linear layer, kept apart by two losses (Bianchi et al. 2020; the paper, Table S5)."""

import torch
from torch import Tensor, nn

from rethinking.graphs.levels import SparseLevel
from rethinking.layers.convolutions import DenseGraphConv, GraphConv
from rethinking.layers.linear import Linear
from rethinking.models.family import Output, at_least_one, shrinking, weighted_losses
from rethinking.models.inputs import DataShape, first_conv
from rethinking.pooling.connect import NormalisedConnect
from rethinking.pooling.losses import mincut_loss, orthogonality_loss
from rethinking.pooling.pool import Pool
from rethinking.pooling.reduce import SumReduce
from rethinking.pooling.select import MakeSelect

LOSSES = {"mincut": mincut_loss, "orthogonality": orthogonality_loss}


class MinCutPool(nn.Module):
    """(conv → ReLU → pool) × (L−1) → conv → mean over nodes → Linear(h, h) → ReLU → Linear(h, out).

    Pooling layer l has ceil(ratio · nodes of the largest graph) clusters, then ratio of that again, and so on.
    Reduce: SᵀX. Connect: SᵀAS without its diagonal, symmetrically normalised. The losses apply to a Select
    that learns (`has_loss`) only.
    """

    def __init__(
        self,
        replicas: int,
        shape: DataShape,
        select: MakeSelect,
        layers: int,
        hidden: int,
        ratio: float,
        mincut_weight: float,
        orthogonality_weight: float,
    ) -> None:
        super().__init__()
        at_least_one(layers=layers, hidden=hidden)
        self.weights = {"mincut": mincut_weight, "orthogonality": orthogonality_weight}
        self.first = first_conv(replicas, shape, hidden, GraphConv)
        self.pools, self.convs = nn.ModuleList(), nn.ModuleList()
        for nodes, clusters in shrinking(shape.max_nodes, ratio, layers - 1):
            chosen = select(replicas=replicas, in_features=hidden, max_nodes=nodes, clusters=clusters)
            self.pools.append(Pool(chosen, SumReduce(), NormalisedConnect(), losses=LOSSES))
            self.convs.append(DenseGraphConv(replicas, hidden, hidden))
        self.head = Linear(replicas, hidden, hidden)
        self.out = Linear(replicas, hidden, shape.out_features)

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out] and the losses `mincut` and `orthogonality`."""
        layers = []
        x = self.first(x, level)
        for pool, conv in zip(self.pools, self.convs, strict=True):
            pooled = pool(torch.relu_(x), level)
            layers.append(pooled)
            level = pooled.level
            x = conv(pooled.x, level)
        x = torch.relu_(self.head(level.graph_mean(x)))
        return self.out(x), weighted_losses(layers, self.weights)
