"""The lowest floor: the same prediction for every graph, so the majority class or the best constant."""

import torch
from torch import Tensor, nn

from rethinking.graphs.levels import SparseLevel
from rethinking.layers.initial import InitialDraw, ReplicaLayer
from rethinking.models.family import Output
from rethinking.models.inputs import DataShape


class Constant(ReplicaLayer):
    """Predicts `bias`, whatever the graph; trained as any other family. select: unused."""

    def __init__(self, replicas: int, shape: DataShape, select: object) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(replicas, 1, shape.out_features))

    @torch.no_grad()
    def reset(self, draw: InitialDraw) -> None:
        """Zero."""
        self.bias.zero_()

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out]; there are no auxiliary losses."""
        return self.bias.expand(-1, level.graphs, -1), {}
