"""Lift: features of clusters back on the nodes they are made of (Grattarola et al. 2022)."""

import torch
from torch import Tensor, nn

from rethinking.pooling.selection import Selection


class TransposeLift(nn.Module):
    """X = S X': each node has its clusters' features by its weights in them; a node in no cluster has zeros."""

    def forward(self, x: Tensor, selection: Selection) -> Tensor:
        """x: [R, N', F]. Returns [R, N, F]."""
        return selection.lift(x)


class MeanLift(nn.Module):
    """X = D⁻¹ S X', D the sums of rows of S: the weighted mean of a node's clusters; zeros for one in no cluster."""

    def forward(self, x: Tensor, selection: Selection) -> Tensor:
        """x: [R, N', F]. Returns [R, N, F]."""
        sums = selection.row_sums
        return selection.lift(x) / torch.where(sums == 0, 1, sums)


class InverseLift(nn.Module):
    """X = (Sᵀ)⁺ X', with the pseudo-inverse: the least features of which Sᵀ X is X'."""

    def forward(self, x: Tensor, selection: Selection) -> Tensor:
        """x: [R, N', F]. Returns [R, N, F]."""
        level = selection.level
        inverse = torch.linalg.pinv(level.per_graph(selection.soft(x.dtype).assignment).transpose(-1, -2))
        return level.from_graphs(inverse @ selection.by_graph(x))
