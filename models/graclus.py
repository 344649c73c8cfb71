"""The Graclus family: convolutions, and pooling by a matching of the nodes (the paper, Section 2.2)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.graphs.topology import Clusters, Topology
from rethinking.layers.convolutions import GraphConv, Probe
from rethinking.layers.linear import Linear
from rethinking.models.family import Output
from rethinking.models.inputs import DataShape, first_conv
from rethinking.pooling.connect import coarsen
from rethinking.pooling.matching import Matching
from rethinking.pooling.reduce import cluster_max, graph_mean
from rethinking.randomness import derive


@dataclass(frozen=True)
class Hierarchy:
    """The topology of every level, and the clusters that lead from each level to the next."""

    levels: list[Topology]
    clusters: list[Clusters]


class Graclus(nn.Module):
    """conv → (conv → pool) × (L−1) → mean over nodes → Linear(h, h) → ReLU → Linear(h, out).

    Every convolution is ReLU(X W1 + A X W2) (Eq. 1), Reduce the maximum (Eq. 2), Connect any
    edge between two clusters (Eq. 3). With `convs_before_pool=1` the initial convolution is
    left out (Table 2, "1 convolution").
    """

    def __init__(
        self,
        replicas: int,
        shape: DataShape,
        select: Matching,
        layers: int,
        hidden: int,
        convs_before_pool: int,
    ) -> None:
        super().__init__()
        if layers < 1 or hidden < 1 or convs_before_pool < 1:
            raise ValueError(
                f"layers={layers}, hidden={hidden}, convs_before_pool={convs_before_pool}; expected at least 1 each"
            )
        self.select = select
        self.pools = layers - 1
        convs = self.pools + convs_before_pool - 1
        rest = [GraphConv(replicas, hidden, hidden) for _ in range(convs - 1)]
        self.convs = nn.ModuleList([first_conv(replicas, shape, hidden, GraphConv), *rest])
        self.before, self.after = Probe(), Probe()
        self.head = Linear(replicas, hidden, hidden)
        self.out = Linear(replicas, hidden, shape.out_features)

    def prepare(self, topology: Topology, keys: np.ndarray) -> Hierarchy:
        """Draw what does not depend on weights: the matchings and the coarser graphs.

        keys: uint64 [R·B], the `matching` stream of each graph.
        """
        hierarchy = Hierarchy([topology], [])
        for level in range(self.pools):
            partner = self.select.draw(topology, derive(keys, np.full(len(keys), level)))
            clusters, topology = coarsen(topology, partner)
            hierarchy.clusters.append(clusters)
            hierarchy.levels.append(topology)
        return hierarchy

    def forward(self, x: Tensor, hierarchy: Hierarchy) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out]; there are no auxiliary losses."""
        levels = hierarchy.levels
        before = len(self.convs) - self.pools
        for conv in self.convs[:before]:
            x = torch.relu_(conv(x, levels[0]))
        for level, conv in enumerate(self.convs[before:]):
            x = self.before(torch.relu_(conv(x, levels[level])), levels[level])
            x = self.after(cluster_max(x, hierarchy.clusters[level], levels[level + 1]), levels[level + 1])
        x = graph_mean(x, levels[-1])
        return self.out(torch.relu_(self.head(x))), {}
