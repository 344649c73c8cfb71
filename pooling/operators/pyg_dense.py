"""PyG's poolers of padded graphs: DiffPool, MinCutPool, DMoN. All clusters are joined, by the weights of Sᵀ A S."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import dense_diff_pool, dense_mincut_pool

from rethinking.pooling.operators.dense import matrices, pad, unpad
from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, MatrixAssignment, Operator
from rethinking.pooling.operators.sentences import in_one_sentence

# x [B, K, F], the adjacency matrices [B, K, K], S [B, n, K] and the losses without weights.
Pooled = tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]


class DenseOperator(Operator):
    """The base. weights: of the auxiliary losses, by name."""

    name: str

    def __init__(self, weights: dict[str, float]) -> None:
        super().__init__()
        self.weights = weights

    def pool(self, x: Tensor, adjacency: Tensor, mask: Tensor) -> Pooled:
        """x: [B, n, F]. adjacency: [B, n, n]. mask: bool [B, n]. What the library makes of them."""
        raise NotImplementedError

    def coarsen(self, x: Tensor, adjacency: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """What the library does with S, [B, n, K]. Returns x [B, K, F] and the adjacency matrices [B, K, K]."""
        raise NotImplementedError

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        """See the base class."""
        x, adjacency, mask = pad(graphs)
        if given is not None:
            s, exists = matrices(given, graphs)
            return Coarse(unpad(*self.coarsen(x, adjacency, s), exists), given)
        with in_one_sentence(self.name, graphs):
            x, adjacency, s, losses = self._pooled(x, adjacency, mask)
        exists = torch.ones_like(s[:, 0], dtype=torch.bool)
        weighted = {name: self.weights[name] * loss for name, loss in losses.items()}
        return Coarse(unpad(x, adjacency, exists), MatrixAssignment(s[mask], graphs.batch, exists), weighted)

    def _pooled(self, x: Tensor, adjacency: Tensor, mask: Tensor) -> Pooled:
        return self.pool(x, adjacency, mask)


class CuttingOperator(DenseOperator):
    """The base of those whose losses the library divides by the edges of a graph.

    Graphs without edges, as complements of complete ones are, have no part in the losses, which would be no numbers.
    """

    def select(self, x: Tensor) -> Tensor:
        """x: [B, n, F]. Returns S as the library makes it, [B, n, K], but for padding."""
        raise NotImplementedError

    def _pooled(self, x: Tensor, adjacency: Tensor, mask: Tensor) -> Pooled:
        joined = adjacency.flatten(1).any(dim=1)
        if bool(joined.all()):
            return self.pool(x, adjacency, mask)
        s = self.select(x) * mask[..., None]
        pooled = self.coarsen(x, adjacency, s)
        losses = {name: x.new_zeros(()) for name in self.weights}
        if bool(joined.any()):
            *found, losses = self.pool(x[joined], adjacency[joined], mask[joined])
            pooled_x, coarse, s = (
                whole.index_put((joined,), part) for whole, part in zip((*pooled, s), found, strict=True)
            )
            return pooled_x, coarse, s, losses
        return *pooled, s, losses


class DiffPool(DenseOperator):
    """`dense_diff_pool` (Ying et al. 2018). assign: makes the network of S, called as network(x, adjacency, mask)."""

    name = "PyG's dense_diff_pool"

    def __init__(
        self, in_features: int, clusters: int, ratio: float, max_nodes: int,
        assign: Callable[..., nn.Module], link_weight: float, entropy_weight: float,
    ) -> None:  # fmt: skip
        super().__init__({"link": link_weight, "entropy": entropy_weight})
        self.assign = assign(in_channels=in_features, out_channels=clusters)

    def pool(self, x: Tensor, adjacency: Tensor, mask: Tensor) -> Pooled:
        """See the base class."""
        logits = self.assign(x, adjacency, mask)
        x, adjacency, link, entropy = dense_diff_pool(x, adjacency, logits, mask)
        return x, adjacency, logits.softmax(-1) * mask[..., None], {"link": link, "entropy": entropy}

    def coarsen(self, x: Tensor, adjacency: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """See the base class."""
        return s.mT @ x, s.mT @ adjacency @ s


class MinCut(CuttingOperator):
    """`dense_mincut_pool` (Bianchi et al. 2020), with a linear layer for S as in its paper."""

    name = "PyG's dense_mincut_pool"

    def __init__(
        self, in_features: int, clusters: int, ratio: float, max_nodes: int,
        cut_weight: float, orthogonality_weight: float, temperature: float,
    ) -> None:  # fmt: skip
        super().__init__({"cut": cut_weight, "orthogonality": orthogonality_weight})
        self.assign = nn.Linear(in_features, clusters)
        self.temperature = temperature

    def pool(self, x: Tensor, adjacency: Tensor, mask: Tensor) -> Pooled:
        """See the base class."""
        logits = self.assign(x)
        x, adjacency, cut, orthogonality = dense_mincut_pool(x, adjacency, logits, mask, self.temperature)
        s = (logits / self.temperature).softmax(-1) * mask[..., None]
        return x, adjacency, s, {"cut": cut, "orthogonality": orthogonality}

    def select(self, x: Tensor) -> Tensor:
        """See the base class."""
        return (self.assign(x) / self.temperature).softmax(-1)

    def coarsen(self, x: Tensor, adjacency: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """See the base class."""
        return s.mT @ x, normalised(s.mT @ adjacency @ s)


class DMoN(CuttingOperator):
    """DMoNPooling (Tsitsulin et al. 2023). pooler: the library's class with its arguments, a partial."""

    name = "PyG's DMoNPooling"

    def __init__(
        self, in_features: int, clusters: int, ratio: float, max_nodes: int,
        pooler: Callable[..., Any], spectral_weight: float, orthogonality_weight: float, cluster_weight: float,
    ) -> None:  # fmt: skip
        weights = {"spectral": spectral_weight, "orthogonality": orthogonality_weight, "cluster": cluster_weight}
        super().__init__(weights)
        self.pooler = pooler(channels=in_features, k=clusters)

    def pool(self, x: Tensor, adjacency: Tensor, mask: Tensor) -> Pooled:
        """See the base class."""
        s, x, adjacency, spectral, orthogonality, cluster = self.pooler(x, adjacency, mask)
        return x, adjacency, s, {"spectral": spectral, "orthogonality": orthogonality, "cluster": cluster}

    def select(self, x: Tensor) -> Tensor:
        """See the base class."""
        return F.dropout(self.pooler.mlp(x), self.pooler.dropout, self.training).softmax(-1)

    def coarsen(self, x: Tensor, adjacency: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """See the base class."""
        return F.selu(s.mT @ x), normalised(s.mT @ adjacency @ s)


def normalised(adjacency: Tensor) -> Tensor:
    """Without loops, divided by the roots of both degrees, as PyG's MinCutPool and DMoN do it. adjacency: [B, K, K].

    Gradients of clusters without edges are 0 here; there, they are not numbers.
    """
    loops = torch.eye(adjacency.shape[-1], dtype=torch.bool, device=adjacency.device)
    adjacency = adjacency.masked_fill(loops, 0)
    degree = adjacency.sum(2, keepdim=True)
    root = degree.where(degree > 0, 1).sqrt()
    return adjacency / root / root.mT
