"""The Graclus family: convolutions, and pooling by a matching of the nodes (the paper, Section 2.2)."""

import torch
from torch import Tensor, nn

from rethinking.graphs.levels import SparseLevel
from rethinking.layers.convolutions import GraphConv
from rethinking.layers.linear import Linear
from rethinking.models.family import Output, at_least_one, shrinking
from rethinking.models.inputs import DataShape, first_conv
from rethinking.pooling.connect import AnyEdgeConnect
from rethinking.pooling.pool import Pool
from rethinking.pooling.reduce import MaxReduce
from rethinking.pooling.select import MakeSelect


class Graclus(nn.Module):
    """conv → (conv → pool) × (L−1) → mean over nodes → Linear(h, h) → ReLU → Linear(h, out).

    Every convolution is ReLU(X W1 + A X W2) (Eq. 1), Reduce the maximum (Eq. 2), Connect any
    edge between two clusters (Eq. 3). With `convs_before_pool=1` the initial convolution is
    left out (Table 2, "1 convolution"). The Select gives hard clusters.
    """

    def __init__(
        self, replicas: int, shape: DataShape, select: MakeSelect, layers: int, hidden: int, convs_before_pool: int
    ) -> None:
        super().__init__()
        at_least_one(layers=layers, hidden=hidden, convs_before_pool=convs_before_pool)
        pools = layers - 1
        convs = pools + convs_before_pool - 1
        rest = [GraphConv(replicas, hidden, hidden) for _ in range(convs - 1)]
        self.convs = nn.ModuleList([first_conv(replicas, shape, hidden, GraphConv), *rest])
        self.pools = nn.ModuleList()
        # A matching has as many clusters as the graph makes; others are asked for as many as pairs would be.
        for nodes, clusters in shrinking(shape.max_nodes, 1 / 2, pools):
            chosen = select(replicas=replicas, in_features=hidden, max_nodes=nodes, clusters=clusters)
            self.pools.append(Pool(chosen, MaxReduce(), AnyEdgeConnect()))
        self.head = Linear(replicas, hidden, hidden)
        self.out = Linear(replicas, hidden, shape.out_features)

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out]; there are no auxiliary losses."""
        before = len(self.convs) - len(self.pools)
        for conv in self.convs[:before]:
            x = conv(x, level, relu=True)
        for conv, pool in zip(self.convs[before:], self.pools, strict=True):
            pooled = pool(conv(x, level, relu=True), level)
            x, level = pooled.x, pooled.level
        return self.out(torch.relu_(self.head(level.graph_mean(x)))), {}
