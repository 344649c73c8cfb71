"""GIN."""

from typing import Any

import torch
from torch import nn
from torch_geometric.data import Batch
from torch_geometric.nn import GINConv, global_add_pool

from tests.peers.peer import Output, Peer, copy_each, copy_linear, copy_norm


class PyGGIN(Peer):
    """GIN convolution × L; the sum over nodes of the input and of every layer → Linear each → sum."""

    def __init__(self, in_features: int, out_features: int, layers: int, hidden: int) -> None:
        super().__init__()
        widths = [in_features] + [hidden] * layers
        self.convs = nn.ModuleList(GINConv(perceptron(width, hidden), train_eps=True) for width in widths[:-1])
        self.outs = nn.ModuleList(nn.Linear(width, out_features) for width in widths)

    def forward(self, data: Batch) -> Output:
        """See `Peer`; there are no losses."""
        levels = [data.x]
        for conv in self.convs:
            levels.append(conv(levels[-1], data.edge_index))
        return sum(out(global_add_pool(x, data.batch)) for out, x in zip(self.outs, levels, strict=True)), {}

    def copy(self, network: Any, replica: int) -> None:
        """See `Peer`."""
        copy_each(_copy_layer, self.convs, network.layers, replica)
        copy_each(copy_linear, self.outs, network.outs, replica)


def perceptron(in_features: int, hidden: int) -> nn.Sequential:
    """(Linear → batch norm → ReLU) twice; batch norm has the bias."""
    first, second = (nn.Linear(width, hidden, bias=False) for width in (in_features, hidden))
    return nn.Sequential(first, nn.BatchNorm1d(hidden), nn.ReLU(), second, nn.BatchNorm1d(hidden), nn.ReLU())


@torch.no_grad()
def _copy_layer(target: GINConv, source: Any, replica: int) -> None:
    target.eps.copy_(source.epsilon[replica, 0])
    for number, linear in zip((0, 3), source.linears, strict=True):
        target.nn[number].weight.copy_(linear.weight[replica].T)
    copy_each(copy_norm, [target.nn[1], target.nn[4]], source.norms, replica)
