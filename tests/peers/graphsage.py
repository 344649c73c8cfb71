"""GraphSAGE."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch_geometric.data import Batch
from torch_geometric.nn import SAGEConv, global_max_pool

from rethinking.layers import linear
from tests.peers.peer import Output, Peer, copy_each, copy_linear


class PyGGraphSAGE(Peer):
    """SAGE convolution × L; the maxima over nodes after each of them → Linear → ReLU → Linear."""

    def __init__(self, in_features: int, out_features: int, layers: int, hidden: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(SAGEConv(width, hidden) for width in [in_features] + [hidden] * (layers - 1))
        self.head = nn.Linear(layers * hidden, hidden)
        self.out = nn.Linear(hidden, out_features)

    def forward(self, data: Batch) -> Output:
        """See `Peer`; there are no losses."""
        x, maxima = data.x, []
        for conv in self.convs:
            x = F.relu(conv(x, data.edge_index))
            maxima.append(global_max_pool(x, data.batch))
        return self.out(F.relu(self.head(torch.cat(maxima, dim=1)))), {}

    def copy(self, network: Any, replica: int) -> None:
        """See `Peer`."""
        copy_each(_copy_sage, self.convs, network.convs, replica)
        copy_linear(self.head, network.head, replica)
        copy_linear(self.out, network.out, replica)


@torch.no_grad()
def _copy_sage(target: SAGEConv, source: linear.Linear, replica: int) -> None:
    """X W1 + (mean over neighbours) W2 + b; ours holds W1 above W2."""
    own, neighbours = source.weight[replica].chunk(2)
    target.lin_r.weight.copy_(own.T)
    target.lin_l.weight.copy_(neighbours.T)
    target.lin_l.bias.copy_(source.bias[replica, 0])
