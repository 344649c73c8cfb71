"""GMN, the graph memory network: soft clusters around keys (Khasahmadi et al. 2020; the paper, Section 2.4)."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rethinking.graphs.levels import NodeSets, SparseLevel
from rethinking.layers.convolutions import GraphConv
from rethinking.layers.linear import Linear
from rethinking.layers.norm import BatchNorm
from rethinking.models.family import Output, Phase, at_least_one
from rethinking.models.inputs import DataShape, first_conv
from rethinking.pooling.connect import NoConnect
from rethinking.pooling.losses import kl_loss
from rethinking.pooling.pool import Pool, Pooled
from rethinking.pooling.reduce import LinearReduce
from rethinking.pooling.select import MakeSelect
from rethinking.pooling.selection import Selection


class GMN(nn.Module):
    """(conv → ReLU) × c → batch norm → memory layers → mean → Linear(m, mlp) → LeakyReLU → Linear(mlp, out).

    A memory layer: V = Cᵀ Q, then LeakyReLU(Linear(V)); C is the Select's, `keys` says how many clusters each layer
    has. Between memory layers there are no edges. Every `kl_period`-th epoch is one step on the Kullback–Leibler loss
    that teaches the keys, where the Select has any (`has_loss`); all other epochs train everything else.
    keys_learn: false for the released code, where the keys stay and that step trains the rest (fidelity ledger, row 1).
    """

    def __init__(
        self,
        replicas: int,
        shape: DataShape,
        select: MakeSelect,
        keys: Sequence[int],
        hidden: int,
        memory_hidden: int,
        mlp_hidden: int,
        convs_before_pool: int,
        kl_period: int,
        kl_weight: float,
        keys_learn: bool,
        norm_counts_padding: bool,
    ) -> None:
        super().__init__()
        at_least_one(keys=list(keys), hidden=hidden, memory_hidden=memory_hidden, mlp_hidden=mlp_hidden)
        at_least_one(convs_before_pool=convs_before_pool, kl_period=kl_period)
        self.kl_period = kl_period
        self.kl_weight = kl_weight
        self.keys_learn = keys_learn
        self.first = first_conv(replicas, shape, hidden, GraphConv)
        self.convs = nn.ModuleList(GraphConv(replicas, hidden, hidden) for _ in range(convs_before_pool - 1))
        self.norm = BatchNorm(replicas, hidden, norm_counts_padding)
        self.pools = nn.ModuleList()
        selects = []
        width, nodes = hidden, shape.max_nodes
        for clusters in keys:
            selects.append(select(replicas=replicas, in_features=width, max_nodes=nodes, clusters=clusters))
            reduce = LinearReduce(Linear(replicas, width, memory_hidden), nn.LeakyReLU())
            self.pools.append(Pool(selects[-1], reduce, NoConnect()))
            width, nodes = memory_hidden, clusters
        self.head = Linear(replicas, memory_hidden, mlp_hidden)
        self.out = Linear(replicas, mlp_hidden, shape.out_features)
        self._taught = [parameter for select in selects for parameter in select.taught]
        self._has_loss = any(select.has_loss for select in selects)

    @property
    def phases(self) -> list[Phase]:
        """The supervised one, and where there are keys to teach the one of their loss."""
        if not self._has_loss or (self.keys_learn and not self._taught):
            return [Phase("supervised", list(self.parameters()))]
        taught = set(self._taught)
        others = [parameter for parameter in self.parameters() if parameter not in taught]
        moves = self._taught if self.keys_learn else others
        return [Phase("supervised", others), Phase("keys", moves, self.kl_period, self.unsupervised)]

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out]; the loss is that of `unsupervised`."""
        return self._predict(x, level)[0], {}

    def unsupervised(self, x: Tensor, level: SparseLevel) -> Output:
        """The predictions [R, B, out] and the loss `kl` of a batch, divided by its number of nodes."""
        prediction, layers = self._predict(x, level)
        kl = torch.stack([kl_loss(cast(Selection, layer.selection).soft()) for layer in layers]).sum(dim=0)
        return prediction, {"kl": self.kl_weight * kl / level.sizes.sum(dim=1)}

    def _predict(self, x: Tensor, level: SparseLevel) -> tuple[Tensor, list[Pooled]]:
        """The predictions, and what every memory layer made."""
        x = self.first(x, level, relu=True)
        for conv in self.convs:
            x = conv(x, level, relu=True)
        x = self.norm(x, level)
        layers: list[Pooled] = []
        sets: NodeSets = level
        for pool in self.pools:
            layers.append(pool(x, sets))
            x, sets = layers[-1].x, layers[-1].level
        return self.out(F.leaky_relu(self.head(sets.graph_mean(x)))), layers
