"""DiffPool, first version."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import DenseGraphConv, dense_diff_pool
from torch_geometric.nn.dense import dense_sage_conv
from torch_geometric.utils import to_dense_batch

from rethinking.layers import convolutions
from tests.peers.dense import DenseSAGEConv, dense_adjacency, norm_nodes
from tests.peers.peer import Output, Peer, copy_each, copy_graph_conv, copy_linear, copy_norm


class PyGDiffPool(Peer):
    """conv → (pool → 3 SAGE convolutions) × pools → max over clusters → Linear → ReLU → Linear.

    With one convolution before pooling there is none before this; its kind embeds the nodes of the first pooling layer.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        max_nodes: int,
        sum_initially: bool,
        separate: bool,
        pools: int,
        hidden: int,
        mlp_hidden: int,
        ratio: float,
        link_weight: float,
        entropy_weight: float,
        convs_before_pool: int,
    ) -> None:
        super().__init__()
        self.link_weight, self.entropy_weight = link_weight, entropy_weight
        sage = SeparateSAGEConv if separate else partial(DenseSAGEConv, add_loop=True, normalize=True)
        initial = DenseGraphConv if sum_initially else sage
        self.initial = initial(in_features, hidden) if convs_before_pool > 1 else None
        more = convs_before_pool - 2
        self.norm = nn.BatchNorm1d(hidden) if more > 0 else None
        self.more = SageBlock(hidden, more, sage) if more > 0 else None
        self.selects, self.embeds, self.blocks = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        clusters = max_nodes
        width, embed = (in_features, initial) if self.initial is None else (hidden, sage)
        for _ in range(pools):
            clusters = math.ceil(ratio * clusters)
            self.selects.append(sage(width, clusters))
            self.embeds.append(embed(width, hidden))
            self.blocks.append(SageBlock(hidden, 3, sage))
            width, embed = hidden, sage
        self.head = nn.Linear(hidden, mlp_hidden)
        self.out = nn.Linear(mlp_hidden, out_features)

    def forward(self, data: Batch) -> Output:
        """See `Peer`; the losses are `link` and `entropy`."""
        x, mask = to_dense_batch(data.x, data.batch)
        adj = dense_adjacency(data, x)
        if self.initial is not None:
            x = self.initial(x, adj, mask)
        if self.more is not None:
            x = self.more(norm_nodes(self.norm, F.relu(x), mask), adj, mask)
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
        if self.initial is not None:
            copy_conv(self.initial, network.initial[0], replica)
        if self.more is not None:
            copy_norm(self.norm, network.norm, replica)
            self.more.copy(network.more, replica)
        copy_each(copy_sage, self.selects, [pool.select.scores for pool in network.pools], replica)
        copy_each(copy_conv, self.embeds, [pool.reduce.embed for pool in network.pools], replica)
        copy_each(SageBlock.copy, self.blocks, network.blocks, replica)
        copy_linear(self.head, network.head, replica)
        copy_linear(self.out, network.out, replica)


class SageBlock(nn.Module):
    """SAGE convolutions: each but the last followed by ReLU, batch normalisation and a residual connection."""

    def __init__(self, hidden: int, convs: int, sage: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(sage(hidden, hidden) for _ in range(convs))
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(convs - 1))

    def forward(self, x: Tensor, adj: Tensor, mask: Tensor | None = None) -> Tensor:
        """x: [B, n, hidden]. adj: [B, n, n]. mask: bool [B, n]. Returns [B, n, hidden]."""
        for conv, norm in zip(self.convs[:-1], self.norms, strict=True):
            x = x + norm_nodes(norm, F.relu(conv(x, adj, mask)), mask)
        return self.convs[-1](x, adj, mask)

    def copy(self, source: Any, replica: int) -> None:
        """Take the weights and running statistics of one replica of our block."""
        copy_each(copy_sage, self.convs, source.convs, replica)
        copy_each(copy_norm, self.norms, source.norms, replica)


class SeparateSAGEConv(dense_sage_conv.DenseSAGEConv):
    """PyG's own, of versions from 1.5 on: a weight for the node itself, which is no neighbour of its own."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, normalize=True)

    @torch.no_grad()
    def copy(self, source: convolutions.SeparateSageConv, replica: int) -> None:
        """Take the weights of one replica of our layer."""
        own, neighbours = source.weight[replica].split(source.in_features)
        self.lin_root.weight.copy_(own.T)
        self.lin_rel.weight.copy_(neighbours.T)
        self.lin_root.bias.copy_(source.bias[replica, 0])


def copy_conv(target: DenseGraphConv | DenseSAGEConv | SeparateSAGEConv, source: Any, replica: int) -> None:
    """Take the weights of one replica of our layer."""
    if isinstance(target, DenseGraphConv):
        copy_graph_conv(target, source, replica)
    else:
        copy_sage(target, source, replica)


def copy_sage(target: DenseSAGEConv | SeparateSAGEConv, source: Any, replica: int) -> None:
    """Take the weights of one replica of our layer."""
    target.copy(source, replica)
