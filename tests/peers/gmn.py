"""GMN."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import GraphConv, MemPooling
from torch_geometric.utils import to_dense_batch

from rethinking.layers import linear
from rethinking.pooling.memory import MemoryAssignment
from tests.peers.peer import Output, Peer, copy_each, copy_graph_conv, copy_linear, copy_norm


class PyGGMN(Peer):
    """(conv → ReLU) × 2 → batch norm → memory layers → mean → Linear → LeakyReLU → Linear."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        heads: int,
        keys: Sequence[int],
        hidden: int,
        memory_hidden: int,
        mlp_hidden: int,
        kl_weight: float,
    ) -> None:
        super().__init__()
        self.kl_weight = kl_weight
        self.first = GraphConv(in_features, hidden)
        self.second = GraphConv(hidden, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        widths = [hidden] + [memory_hidden] * (len(keys) - 1)
        self.memories = nn.ModuleList(
            Memory(width, memory_hidden, heads, clusters) for width, clusters in zip(widths, keys, strict=True)
        )
        self.head = nn.Linear(memory_hidden, mlp_hidden)
        self.out = nn.Linear(mlp_hidden, out_features)

    def taught(self) -> list[nn.Parameter]:
        """The keys."""
        return [memory.get_parameter("k") for memory in self.memories]

    def forward(self, data: Batch) -> Output:
        """See `Peer`; ordinary epochs have no losses beside the supervised one."""
        return self._predict(data)[0], {}

    def unsupervised(self, data: Batch) -> Output:
        """The predictions [B, out], and the loss `kl` that teaches the keys."""
        prediction, assignments = self._predict(data)
        # PyG divides by the number of graphs; the loss is to be divided by that of nodes.
        kl = sum(MemPooling.kl_loss(assignment) for assignment in assignments) * data.num_graphs / data.num_nodes
        return prediction, {"kl": self.kl_weight * kl}

    def _predict(self, data: Batch) -> tuple[Tensor, list[Tensor]]:
        x = F.relu(self.first(data.x, data.edge_index))
        x = self.norm(F.relu(self.second(x, data.edge_index)))
        mask: Tensor | None
        x, mask = to_dense_batch(x, data.batch)
        assignments = []
        for memory in self.memories:
            x, assignment = memory(x, mask=mask)
            x, mask = F.leaky_relu(x), None
            assignments.append(assignment)
        return self.out(F.leaky_relu(self.head(x.mean(dim=1)))), assignments

    def copy(self, network: Any, replica: int) -> None:
        """See `Peer`."""
        copy_graph_conv(self.first, network.first, replica)
        copy_graph_conv(self.second, network.convs[0], replica)
        copy_norm(self.norm, network.norm, replica)
        copy_each(Memory.copy, self.memories, [(pool.select, pool.reduce.linear) for pool in network.pools], replica)
        copy_linear(self.head, network.head, replica)
        copy_linear(self.out, network.out, replica)


class Memory(MemPooling):
    """PyG's memory layer with a bias, keys from U(0, 1), and no weight where there is one head only."""

    def __init__(self, in_features: int, out_features: int, heads: int, clusters: int) -> None:
        super().__init__(in_features, out_features, heads, clusters)
        self.lin = nn.Linear(in_features, out_features)
        if heads == 1:
            self.conv = nn.Identity()
        nn.init.uniform_(self.k)

    @torch.no_grad()
    def copy(self, source: tuple[MemoryAssignment, linear.Linear], replica: int) -> None:
        """Take the weights of one replica of our Select and of the linear layer behind it."""
        select, linear = source
        self.k.copy_(select.keys[replica].view_as(self.k))
        if select.combine.weight is not None:
            weight = self.conv.get_parameter("weight")
            weight.copy_(select.combine.weight[replica].view_as(weight))
        copy_linear(self.lin, linear, replica)
