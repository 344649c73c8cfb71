"""GraphSAGE (Hamilton et al. 2017) as in Errica et al. 2020: a baseline without pooling layers (Table 1)."""

import torch
from torch import Tensor, nn

from rethinking.graphs.levels import SparseLevel
from rethinking.layers.linear import Linear
from rethinking.models.family import Output, at_least_one
from rethinking.models.inputs import DataShape, encoder


class GraphSAGE(nn.Module):
    """H' = ReLU([H | mean over neighbours] W + b), L times; all layers' maxima over nodes → Linear → ReLU → Linear.

    select: unused, there is nothing to select.
    """

    def __init__(self, replicas: int, shape: DataShape, select: object, layers: int, hidden: int) -> None:
        super().__init__()
        at_least_one(layers=layers, hidden=hidden)
        self.encoder, width = encoder(replicas, shape, hidden)
        self.convs = nn.ModuleList(Linear(replicas, 2 * w, hidden) for w in [width] + [hidden] * (layers - 1))
        self.head = Linear(replicas, layers * hidden, hidden)
        self.out = Linear(replicas, hidden, shape.out_features)

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out]; there are no auxiliary losses."""
        x = self.encoder(x, level)
        maxima = []
        for conv in self.convs:
            # The mean over those that point to a node, as PyG's `SAGEConv` has it.
            weight, bias = conv.parameters()
            x = level.mean_convolve_incoming(x, weight, bias, relu=True)
            maxima.append(level.graph_max(x))
        return self.out(torch.relu_(self.head(torch.cat(maxima, dim=-1)))), {}
