"""The lowest floor: the same prediction for every graph, so the majority class or the best constant."""

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.graphs.topology import Topology
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

    def prepare(self, topology: Topology, keys: np.ndarray) -> Topology:
        """Nothing is drawn."""
        return topology

    def forward(self, x: Tensor, topology: Topology) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out]; there are no auxiliary losses."""
        graphs = len(topology.start) // topology.replicas
        return self.bias.expand(-1, graphs, -1), {}
