"""Global mean pooling."""

from typing import Any

import torch.nn.functional as F
from torch import nn
from torch_geometric.data import Batch
from torch_geometric.nn import GraphConv, global_mean_pool

from tests.peers.peer import Output, Peer, copy_each, copy_graph_conv, copy_linear


class PyGGlobalMean(Peer):
    """conv × L → mean over nodes → Linear → ReLU → Linear."""

    def __init__(self, in_features: int, out_features: int, layers: int, hidden: int) -> None:
        super().__init__()
        widths = [in_features] + [hidden] * (layers - 1)
        self.convs = nn.ModuleList(GraphConv(width, hidden) for width in widths)
        self.head = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, out_features)

    def forward(self, data: Batch) -> Output:
        """See `Peer`; there are no losses."""
        x = data.x
        for conv in self.convs:
            x = F.relu(conv(x, data.edge_index))
        x = global_mean_pool(x, data.batch)
        return self.out(F.relu(self.head(x))), {}

    def copy(self, network: Any, replica: int) -> None:
        """See `Peer`."""
        copy_each(copy_graph_conv, self.convs, network.convs, replica)
        copy_linear(self.head, network.head, replica)
        copy_linear(self.out, network.out, replica)
