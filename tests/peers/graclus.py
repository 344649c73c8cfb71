"""Graclus. PyG's own `graclus` needs a compiled extension and pairs with the lowest-numbered neighbour, so the
matching comes from `rethinking.pooling`."""

from copy import copy
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import GraphConv, global_mean_pool, max_pool

from rethinking.pooling.matching import Matching
from tests.peers.data import topology_of
from tests.peers.peer import Output, Peer, copy_each, copy_graph_conv, copy_linear


class PyGGraclus(Peer):
    """conv → (conv → pool) × (L−1) → mean → Linear → ReLU → Linear; a matching is drawn at every step."""

    def __init__(self, in_features: int, out_features: int, select: Matching, layers: int, hidden: int) -> None:
        super().__init__()
        self.select = select
        self.rng = np.random.default_rng(0)
        self.first = GraphConv(in_features, hidden)
        self.convs = nn.ModuleList(GraphConv(hidden, hidden) for _ in range(layers - 1))
        self.head = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, out_features)

    def predict(self, data: Batch) -> Output:
        """See `Peer`; the matchings are drawn from the model's own generator."""
        return self(data, self.rng), {}

    def forward(self, data: Batch, rng: np.random.Generator) -> Tensor:
        """Predictions [B, out]."""
        data = copy(data)
        data.x = F.relu(self.first(data.x, data.edge_index))
        for conv in self.convs:
            data.x = F.relu(conv(data.x, data.edge_index))
            data = max_pool(draw_matching(self.select, data, rng), data)
        x = global_mean_pool(data.x, data.batch)
        return self.out(F.relu(self.head(x)))

    def copy(self, network: Any, replica: int) -> None:
        """See `Peer`."""
        copy_each(copy_graph_conv, [self.first, *self.convs], network.convs, replica)
        copy_linear(self.head, network.head, replica)
        copy_linear(self.out, network.out, replica)


def draw_matching(select: Matching, data: Batch, rng: np.random.Generator) -> Tensor:
    """A cluster for each node of a batch. Returns int64 [nodes]."""
    nodes = data.num_nodes
    sizes = torch.bincount(data.batch).cpu().numpy()
    topology = topology_of(data.edge_index.cpu().numpy(), sizes, nodes)
    partner = select.draw(topology, rng.integers(2**63, size=len(sizes)).astype(np.uint64))
    return torch.from_numpy(np.minimum(partner, np.arange(nodes))).to(data.batch.device)
