"""GIN, the graph isomorphism network (Xu et al. 2019): a baseline without pooling layers (Table 1)."""

import torch
from torch import Tensor, nn

from rethinking.graphs.levels import SparseLevel
from rethinking.layers.initial import InitialDraw, ReplicaLayer
from rethinking.layers.linear import Linear
from rethinking.layers.linear_norm import linear_norm_relu
from rethinking.layers.norm import BatchNorm
from rethinking.models.family import Output, at_least_one
from rethinking.models.inputs import DataShape, encoder


class GIN(nn.Module):
    """H' = MLP((1 + ε) H + A H), L times; the sum over nodes of the input and of every layer → Linear each → sum.

    The MLP of a layer: (Linear → batch norm → ReLU) twice; batch norm has the bias, ε is learned.
    select: unused, there is nothing to select.
    """

    def __init__(self, replicas: int, shape: DataShape, select: object, layers: int, hidden: int) -> None:
        super().__init__()
        at_least_one(layers=layers, hidden=hidden)
        self.encoder, width = encoder(replicas, shape, hidden)
        self.layers = nn.ModuleList(_GINLayer(replicas, w, hidden) for w in [width] + [hidden] * (layers - 1))
        widths = [width] + [hidden] * layers
        self.outs = nn.ModuleList(Linear(replicas, w, shape.out_features) for w in widths)

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out]; there are no auxiliary losses."""
        x = self.encoder(x, level)
        prediction = self.outs[0](level.graph_sum(x))
        for layer, out in zip(self.layers, self.outs[1:], strict=True):
            x = layer(x, level)
            prediction = prediction + out(level.graph_sum(x))
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
        x = level.incoming_sum_with_own(x, 1 + self.epsilon)
        for linear, norm in zip(self.linears, self.norms, strict=True):
            x = linear_norm_relu(x, linear, norm, level)  # type: ignore[arg-type]
        return x
