"""The host: a plain network around any pooling layer, so that the pooling layer is all that changes."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from rethinking.graphs.levels import SparseLevel
from rethinking.layers.linear import Linear
from rethinking.models.family import Output, a_share, at_least_one, shrinking
from rethinking.models.inputs import DataShape, first_conv
from rethinking.pooling.foreign import MakePool

READOUTS = ("mean", "sum", "max")


class Host(nn.Module):
    """(conv → ReLU → pool) × pools → conv → ReLU → read-out over nodes → Linear(h, h) → ReLU → Linear(h, out).

    select: makes a pooling layer. conv: called as conv(replicas, in_features, out_features). readout: over the nodes of
    a graph, mean, sum or max. ratio: of the nodes that a pooling layer keeps; where an operator has a fixed number of
    clusters, it is ⌈ratio · ⌈mean number of nodes⌉⌉, then ratio of that again. The losses of the pooling layers are
    added by their names.
    """

    def __init__(
        self,
        replicas: int,
        shape: DataShape,
        select: MakePool,
        conv: Callable[..., nn.Module],
        hidden: int,
        pools: int,
        ratio: float,
        readout: str,
    ) -> None:
        super().__init__()
        at_least_one(hidden=hidden, pools=pools)
        a_share(ratio)
        if readout not in READOUTS:
            raise ValueError(f"readout={readout}; expected {', '.join(READOUTS)}")
        self.readout = readout
        convs, layers = [first_conv(replicas, shape, hidden, conv)], []
        most = shrinking(shape.max_nodes, ratio, pools)
        fixed = shrinking(math.ceil(shape.mean_nodes), ratio, pools)
        for (max_nodes, _), (_, clusters) in zip(most, fixed, strict=True):
            layers.append(
                select(replicas=replicas, in_features=hidden, max_nodes=max_nodes, clusters=clusters, ratio=ratio)
            )
            convs.append(conv(replicas, layers[-1].out_features, hidden))
        self.convs, self.pools = nn.ModuleList(convs), nn.ModuleList(layers)
        self.head = Linear(replicas, hidden, hidden)
        self.out = Linear(replicas, hidden, shape.out_features)

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out] and the losses of the pooling layers."""
        losses: dict[str, Tensor] = {}
        x = torch.relu(self.convs[0](x, level))
        for pool, conv in zip(self.pools, self.convs[1:], strict=True):
            pooled = pool(x, level)
            level = pooled.level
            x = torch.relu(conv(pooled.x, level))
            for name, loss in pooled.losses.items():
                losses[name] = losses[name] + loss if name in losses else loss
        x = getattr(level, f"graph_{self.readout}")(x)
        return self.out(torch.relu_(self.head(x))), losses
