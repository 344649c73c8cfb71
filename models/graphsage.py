"""GraphSAGE (Hamilton et al. 2017) as in Errica et al. 2020: a baseline without pooling layers (Table 1)."""

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.topology import Topology
from rethinking.layers.linear import Linear
from rethinking.models.family import Output
from rethinking.models.inputs import DataShape, encoder


class GraphSAGE(nn.Module):
    """H' = ReLU([H | mean over neighbours] W + b), L times; all layers' maxima over nodes → Linear → ReLU → Linear.

    select: unused, there is nothing to select.
    """

    def __init__(self, replicas: int, shape: DataShape, select: object, layers: int, hidden: int) -> None:
        super().__init__()
        if layers < 1 or hidden < 1:
            raise ValueError(f"layers={layers}, hidden={hidden}; expected at least 1 each")
        self.encoder, width = encoder(replicas, shape, hidden)
        self.convs = nn.ModuleList(Linear(replicas, 2 * w, hidden) for w in [width] + [hidden] * (layers - 1))
        self.head = Linear(replicas, layers * hidden, hidden)
        self.out = Linear(replicas, hidden, shape.out_features)

    def prepare(self, topology: Topology, keys: np.ndarray) -> Topology:
        """Nothing is drawn."""
        return topology

    def forward(self, x: Tensor, topology: Topology) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out]; there are no auxiliary losses."""
        # The mean over those that point to a node, as PyG's `SAGEConv` has it.
        level = SparseLevel(topology.transposed, x.device)
        x = self.encoder(x, topology)
        maxima = []
        for conv in self.convs:
            x = torch.relu_(conv(torch.cat([x, level.neighbour_mean(x)], dim=-1)))
            # Nothing is below zero, so padding cannot be the maximum.
            maxima.append(level.per_graph(x).amax(dim=2))
        return self.out(torch.relu_(self.head(torch.cat(maxima, dim=-1)))), {}
