"""A perceptron on the sum of a graph's node features."""

from typing import Any

import torch.nn.functional as F
from torch import nn
from torch_geometric.data import Batch
from torch_geometric.nn import global_add_pool

from tests.peers.peer import Output, Peer, copy_each, copy_linear


class PyGSummedFeaturesMLP(Peer):
    """sum over nodes → (Linear → ReLU) × L → Linear."""

    def __init__(self, in_features: int, out_features: int, layers: int, hidden: int) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(width, hidden) for width in [in_features] + [hidden] * (layers - 1))
        self.out = nn.Linear(hidden, out_features)

    def forward(self, data: Batch) -> Output:
        """See `Peer`; there are no losses."""
        x = global_add_pool(data.x, data.batch)
        for linear in self.linears:
            x = F.relu(linear(x))
        return self.out(x), {}

    def copy(self, network: Any, replica: int) -> None:
        """See `Peer`."""
        copy_each(copy_linear, self.linears, network.linears, replica)
        copy_linear(self.out, network.out, replica)
