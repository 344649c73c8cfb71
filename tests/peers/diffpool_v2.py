"""DiffPool, second version."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import DenseGraphConv, dense_diff_pool
from torch_geometric.utils import to_dense_batch

from tests.peers.dense import SageStack, dense_adjacency
from tests.peers.peer import Output, Peer, copy_each, copy_graph_conv, copy_linear


class PyGDiffPoolV2(Peer):
    """pool × pools → SAGE stack; the maxima over clusters after each of them → Linear → ReLU → Linear."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        max_nodes: int,
        pools: int,
        hidden: int,
        mlp_hidden: int,
        ratio: float,
        sum_first: bool,
        link_weight: float,
        entropy_weight: float,
    ) -> None:
        super().__init__()
        self.link_weight, self.entropy_weight = link_weight, entropy_weight
        self.first = DenseGraphConv(in_features, in_features) if sum_first else None
        self.pool_stacks, self.pool_scores, self.embeds = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        width, clusters = in_features, max_nodes
        for _ in range(pools):
            clusters = math.ceil(ratio * clusters)
            self.pool_stacks.append(SageStack(width, hidden, clusters))
            self.pool_scores.append(nn.Linear(2 * hidden + clusters, clusters))
            self.embeds.append(SageStack(width, hidden, hidden))
            width = 3 * hidden
        self.last = SageStack(width, hidden, hidden)
        self.head = nn.Linear((pools + 1) * width, mlp_hidden)
        self.out = nn.Linear(mlp_hidden, out_features)

    def forward(self, data: Batch) -> Output:
        """See `Peer`; the losses are `link` and `entropy`."""
        mask: Tensor | None
        x, mask = to_dense_batch(data.x, data.batch)
        adj = dense_adjacency(data, x)
        x = x if self.first is None else self.first(x, adj, mask)
        link, entropy = x.new_zeros(()), x.new_zeros(())
        maxima = []
        for stack, linear, embed in zip(self.pool_stacks, self.pool_scores, self.embeds, strict=True):
            scores, embedded = linear(stack(x, adj, mask)), embed(x, adj, mask)
            x, adj, added_link, added_entropy = dense_diff_pool(embedded, adj, scores, mask)
            link, entropy, mask = link + added_link, entropy + added_entropy, None
            maxima.append(x.amax(dim=1))
        maxima.append(self.last(x, adj).amax(dim=1))
        x = F.relu(self.head(torch.cat(maxima, dim=-1)))
        return self.out(x), {"link": self.link_weight * link, "entropy": self.entropy_weight * entropy}

    def copy(self, network: Any, replica: int) -> None:
        """See `Peer`."""
        if self.first is not None:
            copy_graph_conv(self.first, network.first, replica)
        copy_each(SageStack.copy, self.pool_stacks, [pool.select.stack for pool in network.pools], replica)
        copy_each(copy_linear, self.pool_scores, [pool.select.scores for pool in network.pools], replica)
        copy_each(SageStack.copy, self.embeds, [pool.reduce.embed for pool in network.pools], replica)
        self.last.copy(network.last, replica)
        copy_linear(self.head, network.head, replica)
        copy_linear(self.out, network.out, replica)
