"""The baseline without pooling layers: convolutions, then the mean over all nodes (the paper, Section 3)."""

import torch
from torch import Tensor, nn

from rethinking.graphs.levels import SparseLevel
from rethinking.layers.convolutions import GraphConv
from rethinking.layers.linear import Linear
from rethinking.models.family import Output, at_least_one
from rethinking.models.inputs import DataShape, first_conv


class GlobalMean(nn.Module):
    """conv × L → mean over nodes → Linear(h, h) → ReLU → Linear(h, out).

    Every convolution is ReLU(X W1 + A X W2) (Eq. 1). select: unused, there is nothing to select.
    """

    def __init__(self, replicas: int, shape: DataShape, select: object, layers: int, hidden: int) -> None:
        super().__init__()
        at_least_one(layers=layers, hidden=hidden)
        rest = [GraphConv(replicas, hidden, hidden) for _ in range(layers - 1)]
        self.convs = nn.ModuleList([first_conv(replicas, shape, hidden, GraphConv), *rest])
        self.head = Linear(replicas, hidden, hidden)
        self.out = Linear(replicas, hidden, shape.out_features)

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out]; there are no auxiliary losses."""
        for conv in self.convs:
            x = conv(x, level, relu=True)
        x = level.graph_mean(x)
        return self.out(torch.relu_(self.head(x))), {}
