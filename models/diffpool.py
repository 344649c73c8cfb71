"""DiffPool, first version: soft clusters by a graph network (Ying et al. 2018; the paper, Section 2.3)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rethinking.graphs.levels import Level, SparseLevel
from rethinking.layers.convolutions import SageConv
from rethinking.layers.linear import Linear
from rethinking.layers.norm import BatchNorm
from rethinking.models.family import Output, at_least_one, shrinking, weighted_losses
from rethinking.models.inputs import DataShape, encoder
from rethinking.pooling.connect import ProductConnect
from rethinking.pooling.losses import entropy_loss, link_loss
from rethinking.pooling.pool import Pool
from rethinking.pooling.reduce import EmbeddingReduce
from rethinking.pooling.select import MakeSelect, Select


class DiffPool(nn.Module):
    """conv → (pool → 3 SAGE convolutions) × pools → max over clusters → Linear(h, m) → ReLU → Linear(m, out).

    Pooling: Z = SAGE(A, X), X' = Sᵀ Z (Eq. 5), A' = Sᵀ A S. Layer l has ceil(ratio · nodes before it) clusters.
    The losses `link` and `entropy` apply to a Select that learns (`has_loss`) only. On molecules a convolution that
    sees bonds comes before all this. With `convs_before_pool=1` the initial convolution is left out and its kind
    embeds the nodes of the first pooling layer (Table 2, "1 convolution"). With more than 2, as many more SAGE
    convolutions follow the initial one, which ReLU and batch normalisation then follow as in a block after a pooling
    layer (fidelity ledger, row 14). conv: another SAGE convolution than the released code's, for all of them (row 15).
    """

    def __init__(
        self,
        replicas: int,
        shape: DataShape,
        select: MakeSelect,
        initial: Callable[..., nn.Module],
        pools: int,
        hidden: int,
        mlp_hidden: int,
        ratio: float,
        convs_before_pool: int,
        link_weight: float,
        entropy_weight: float,
        conv: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        conv = conv or SageConv
        at_least_one(pools=pools, hidden=hidden, mlp_hidden=mlp_hidden, convs_before_pool=convs_before_pool)
        self.weights = {"link": link_weight, "entropy": entropy_weight}
        self.encoder, width = encoder(replicas, shape, hidden)
        self.initial = nn.ModuleList()
        if convs_before_pool >= 2:
            self.initial.append(initial(replicas=replicas, in_features=width, out_features=hidden))
            width = hidden
        more = convs_before_pool - 2
        self.norm = BatchNorm(replicas, hidden) if more > 0 else None
        self.more = _SageBlock(replicas, hidden, more, conv) if more > 0 else None
        self.pools, self.blocks = nn.ModuleList(), nn.ModuleList()
        for number, (nodes, clusters) in enumerate(shrinking(shape.max_nodes, ratio, pools)):
            # The only convolution is the one that the data set calls for: on constant features a mean sees nothing.
            only = convs_before_pool == 1 and number == 0
            make: Callable[..., nn.Module] = initial if only else conv
            embed = make(replicas=replicas, in_features=width, out_features=hidden)
            chosen = select(replicas=replicas, in_features=width, max_nodes=nodes, clusters=clusters)
            self.pools.append(diffpool_layer(chosen, embed))
            self.blocks.append(_SageBlock(replicas, hidden, 3, conv))
            width = hidden
        self.head = Linear(replicas, hidden, mlp_hidden)
        self.out = Linear(replicas, mlp_hidden, shape.out_features)

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out] and the losses `link` and `entropy`."""
        x = self.encoder(x, level)
        for conv in self.initial:
            x = conv(x, level)
        if self.norm is not None and self.more is not None:
            x = self.more(self.norm(x, level, relu_before=True), level)
        layers = []
        for pool, block in zip(self.pools, self.blocks, strict=True):
            pooled = pool(x, level)
            layers.append(pooled)
            level = pooled.level
            x = block(pooled.x, level)
        x = torch.relu_(self.head(level.graph_max(x)))
        return self.out(x), weighted_losses(layers, self.weights)


def diffpool_layer(select: Select, embed: nn.Module) -> Pool:
    """X' = Sᵀ embed(A, X) (Eq. 5), A' = Sᵀ A S, with DiffPool's two losses."""
    return Pool(select, EmbeddingReduce(embed), ProductConnect(), losses={"link": link_loss, "entropy": entropy_loss})


class _SageBlock(nn.Module):
    """SAGE convolutions: each but the last followed by ReLU, batch normalisation and a residual connection."""

    def __init__(self, replicas: int, hidden: int, convs: int, conv: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            conv(replicas=replicas, in_features=hidden, out_features=hidden) for _ in range(convs)
        )
        self.norms = nn.ModuleList(BatchNorm(replicas, hidden) for _ in range(convs - 1))

    def forward(self, x: Tensor, level: Level) -> Tensor:
        for conv, norm in zip(self.convs[:-1], self.norms, strict=True):
            x = norm(conv(x, level), level, relu_before=True, residual=x)
        return self.convs[-1](x, level)
