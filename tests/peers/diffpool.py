"""DiffPool, first version."""

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import DenseGraphConv, dense_diff_pool
from torch_geometric.utils import to_dense_batch

from tests.peers.dense import DenseSAGEConv, dense_adjacency, norm_nodes
from tests.peers.peer import Output, Peer, copy_each, copy_graph_conv, copy_linear, copy_norm


class PyGDiffPool(Peer):
    """conv → (pool → 3 SAGE convolutions) × pools → max over clusters → Linear → ReLU → Linear."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        max_nodes: int,
        sum_initially: bool,
        pools: int,
        hidden: int,
        mlp_hidden: int,
        ratio: float,
        link_weight: float,
        entropy_weight: float,
    ) -> None:
        super().__init__()
        self.link_weight, self.entropy_weight = link_weight, entropy_weight
        self.initial = DenseGraphConv(in_features, hidden) if sum_initially else sage(in_features, hidden)
        self.selects, self.embeds, self.blocks = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        clusters = max_nodes
        for _ in range(pools):
            clusters = math.ceil(ratio * clusters)
            self.selects.append(sage(hidden, clusters))
            self.embeds.append(sage(hidden, hidden))
            self.blocks.append(SageBlock(hidden))
        self.head = nn.Linear(hidden, mlp_hidden)
        self.out = nn.Linear(mlp_hidden, out_features)

    def forward(self, data: Batch) -> Output:
        """See `Peer`; the losses are `link` and `entropy`."""
        x, mask = to_dense_batch(data.x, data.batch)
        adj = dense_adjacency(data, x)
        x = self.initial(x, adj, mask)
        link, entropy = x.new_zeros(()), x.new_zeros(())
        for select, embed, block in zip(self.selects, self.embeds, self.blocks, strict=True):
            scores, embedded = select(x, adj, mask), embed(x, adj, mask)
            x, adj, added_link, added_entropy = dense_diff_pool(embedded, adj, scores, mask)
            link, entropy, mask = link + added_link, entropy + added_entropy, None
            x = block(x, adj)
        x = F.relu(self.head(x.amax(dim=1)))
        return self.out(x), {"link": self.link_weight * link, "entropy": self.entropy_weight * entropy}

    def copy(self, network: Any, replica: int) -> None:
        """See `Peer`."""
        if isinstance(self.initial, DenseGraphConv):
            copy_graph_conv(self.initial, network.initial[0], replica)
        else:
            self.initial.copy(network.initial[0], replica)
        copy_each(DenseSAGEConv.copy, self.selects, [pool.select.scores for pool in network.pools], replica)
        copy_each(DenseSAGEConv.copy, self.embeds, [pool.reduce.embed for pool in network.pools], replica)
        copy_each(SageBlock.copy, self.blocks, network.blocks, replica)
        copy_linear(self.head, network.head, replica)
        copy_linear(self.out, network.out, replica)


class SageBlock(nn.Module):
    """Three SAGE convolutions: each but the last followed by ReLU, batch normalisation and a residual connection."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(sage(hidden, hidden) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(2))

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        """x: [B, k, hidden]. adj: [B, k, k]. Returns [B, k, hidden]."""
        for conv, norm in zip(self.convs[:-1], self.norms, strict=True):
            x = x + norm_nodes(norm, F.relu(conv(x, adj)))
        return self.convs[-1](x, adj)

    def copy(self, source: Any, replica: int) -> None:
        """Take the weights and running statistics of one replica of our block."""
        copy_each(DenseSAGEConv.copy, self.convs, source.convs, replica)
        copy_each(copy_norm, self.norms, source.norms, replica)


def sage(in_features: int, out_features: int) -> DenseSAGEConv:
    """The convolution of this version."""
    return DenseSAGEConv(in_features, out_features, add_loop=True, normalize=True)
