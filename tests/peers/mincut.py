"""MinCutPool."""

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import DenseGraphConv, GraphConv, dense_mincut_pool
from torch_geometric.utils import to_dense_batch

from tests.peers.dense import dense_adjacency
from tests.peers.peer import Output, Peer, copy_each, copy_graph_conv, copy_linear


class PyGMinCut(Peer):
    """(conv → ReLU → pool) × (L−1) → conv → mean over clusters → Linear → ReLU → Linear, L at least 2."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        max_nodes: int,
        layers: int,
        hidden: int,
        ratio: float,
        mincut_weight: float,
        orthogonality_weight: float,
    ) -> None:
        super().__init__()
        self.mincut_weight, self.orthogonality_weight = mincut_weight, orthogonality_weight
        self.first = GraphConv(in_features, hidden)
        self.convs = nn.ModuleList(DenseGraphConv(hidden, hidden) for _ in range(layers - 1))
        self.selects = nn.ModuleList()
        clusters = max_nodes
        for _ in range(layers - 1):
            clusters = math.ceil(ratio * clusters)
            self.selects.append(nn.Linear(hidden, clusters))
        self.head = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, out_features)

    def forward(self, data: Batch) -> Output:
        """See `Peer`; the losses are `mincut` and `orthogonality`."""
        x = self.first(data.x, data.edge_index)
        mask: Tensor | None
        x, mask = to_dense_batch(x, data.batch)
        adj = dense_adjacency(data, x)
        mincut, apart = x.new_zeros(()), x.new_zeros(())
        for conv, select in zip(self.convs, self.selects, strict=True):
            x = F.relu(x)
            x, adj, added_mincut, added_apart = dense_mincut_pool(x, adj, select(x), mask)
            mincut, apart, mask = mincut + added_mincut, apart + added_apart, None
            x = conv(x, adj)
        x = F.relu(self.head(x.mean(dim=1)))
        losses = {"mincut": self.mincut_weight * mincut, "orthogonality": self.orthogonality_weight * apart}
        return self.out(x), losses

    def copy(self, network: Any, replica: int) -> None:
        """See `Peer`."""
        copy_graph_conv(self.first, network.first, replica)
        copy_each(copy_graph_conv, self.convs, network.convs, replica)
        copy_each(copy_linear, self.selects, [pool.select.scores for pool in network.pools], replica)
        copy_linear(self.head, network.head, replica)
        copy_linear(self.out, network.out, replica)
