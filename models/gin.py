"""GIN, the graph isomorphism network (Xu et al. 2019): a baseline without pooling layers (Table 1)."""

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.segments import neighbour_sum
from rethinking.graphs.topology import Topology
from rethinking.layers.initial import InitialDraw, ReplicaLayer
from rethinking.layers.linear import Linear
from rethinking.layers.norm import BatchNorm
from rethinking.models.family import Output
from rethinking.models.inputs import DataShape, encoder
from rethinking.pooling.reduce import graph_sum


class GIN(nn.Module):
    """H' = MLP((1 + ε) H + A H), L times; the sum over nodes of the input and of every layer → Linear each → sum.

    The MLP of a layer: (Linear → batch norm → ReLU) twice; batch norm has the bias, ε is learned.
    select: unused, there is nothing to select.
    """

    def __init__(self, replicas: int, shape: DataShape, select: object, layers: int, hidden: int) -> None:
        super().__init__()
        if layers < 1 or hidden < 1:
            raise ValueError(f"layers={layers}, hidden={hidden}; expected at least 1 each")
        self.encoder, width = encoder(replicas, shape, hidden)
        self.layers = nn.ModuleList(_GINLayer(replicas, w, hidden) for w in [width] + [hidden] * (layers - 1))
        widths = [width] + [hidden] * layers
        self.outs = nn.ModuleList(Linear(replicas, w, shape.out_features) for w in widths)

    def prepare(self, topology: Topology, keys: np.ndarray) -> Topology:
        """Nothing is drawn."""
        return topology

    def forward(self, x: Tensor, topology: Topology) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out]; there are no auxiliary losses."""
        level = SparseLevel(topology, x.device)
        x = self.encoder(x, topology)
        prediction = self.outs[0](graph_sum(x, topology))
        for layer, out in zip(self.layers, self.outs[1:], strict=True):
            x = layer(x, level)
            prediction = prediction + out(graph_sum(x, topology))
        return prediction, {}


class _GINLayer(ReplicaLayer):
    def __init__(self, replicas: int, in_features: int, hidden: int) -> None:
        super().__init__()
        self.epsilon = nn.Parameter(torch.empty(replicas, 1, 1))
        self.linears = nn.ModuleList(Linear(replicas, width, hidden, bias=False) for width in (in_features, hidden))
        self.norms = nn.ModuleList(BatchNorm(replicas, hidden) for _ in range(2))

    @torch.no_grad()
    def reset(self, draw: InitialDraw) -> None:
        """ε: zero."""
        self.epsilon.zero_()

    def forward(self, x: Tensor, level: SparseLevel) -> Tensor:
        """x: [R, N, in]. Returns [R, N, hidden]."""
        x = (1 + self.epsilon) * x + neighbour_sum(x, level.topology)
        for linear, norm in zip(self.linears, self.norms, strict=True):
            x = torch.relu_(norm(linear(x), level))
        return x
