"""Reduce: a cluster's features from those of its nodes. Each is called as reduce(x, selection)."""

from torch import Tensor, nn

from rethinking.graphs.segments import segment_max
from rethinking.pooling.selection import HardSelection, SoftSelection


class MaxReduce(nn.Module):
    """The element-wise maximum over a cluster (Eq. 2), zero for a cluster without nodes. For hard clusters."""

    def forward(self, x: Tensor, selection: HardSelection) -> Tensor:
        """x: [R, N, F]. Returns [R, N', F], zero in padding rows."""
        out = segment_max(selection.weighted(x), selection.segments)
        return out.view(selection.level.replicas, -1, x.shape[-1])


class SumReduce(nn.Module):
    """X' = Sᵀ X. For soft clusters."""

    def forward(self, x: Tensor, selection: SoftSelection) -> Tensor:
        """x: [R, N, F]. Returns [R, B·k, F]."""
        return selection.reduce(x)


class EmbeddingReduce(nn.Module):
    """X' = Sᵀ Z with Z = embed(A, X), a graph network of its own (Eq. 5, DiffPool). For soft clusters.

    embed: called as embed(x, level).
    """

    def __init__(self, embed: nn.Module) -> None:
        super().__init__()
        self.embed = embed

    def forward(self, x: Tensor, selection: SoftSelection) -> Tensor:
        """x: [R, N, F]. Returns [R, B·k, F']."""
        return selection.reduce(self.embed(x, selection.level))


class LinearReduce(nn.Module):
    """X' = activation(W Sᵀ X + b), GMN's memory layer (Khasahmadi et al. 2020). For soft clusters.

    linear: with a replica axis.
    """

    def __init__(self, linear: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.linear = linear
        self.activation = activation

    def forward(self, x: Tensor, selection: SoftSelection) -> Tensor:
        """x: [R, N, F]. Returns [R, B·k, F']."""
        return self.activation(self.linear(selection.reduce(x)))
