"""Reduce and Connect for soft clusters, and the losses that go with them.

A is never made dense on the level of the graphs themselves: only S and the coarse adjacency are.
"""

import torch
from torch import Tensor

from rethinking.graphs.levels import Level, NodeSets

# Stands in for the degree of a node without edges: far below those that occur, and yet its inverse can be
# multiplied over several levels in single precision.
TINY = 1e-12


def reduce(x: Tensor, assignment: Tensor, level: NodeSets) -> Tensor:
    """X' = Sᵀ X for every graph. x: [R, N, F], assignment: [R, N, k]. Returns [R, B·k, F]."""
    return level.product(assignment, x).flatten(1, 2)


def connect(assignment: Tensor, level: Level) -> Tensor:
    """A' = Sᵀ A S for every graph. assignment: [R, N, k]. Returns [R, B, k, k]."""
    return level.product(assignment, level.neighbour_sum(assignment))


def normalise(adjacency: Tensor) -> Tensor:
    """A' without its diagonal, divided by the square roots of its degrees (MinCutPool's Connect).

    adjacency: [R, B, k, k]. The degrees are row sums, as in PyG's `dense_mincut_pool`.
    """
    k = adjacency.shape[-1]
    adjacency = adjacency * (1 - torch.eye(k, device=adjacency.device))
    degree = adjacency.sum(dim=-1)
    # Not from zero, where the root has no gradient. A cluster that receives nothing has no weight to share: its row
    # is zero, and in a directed graph its column need not be.
    scale = degree.clamp(min=TINY).rsqrt() * (degree > TINY)
    return adjacency * scale[..., None, :] * scale[..., :, None]


def mincut_loss(assignment: Tensor, coarse: Tensor, level: Level) -> Tensor:
    """−tr(Sᵀ A S) / tr(Sᵀ D S), the mean over graphs (Bianchi et al. 2020, first term of the loss).

    A graph without edges has nothing to cut and counts as zero.

    assignment: [R, N, k]. coarse: Sᵀ A S, [R, B, k, k]. Returns [R].
    """
    cut = coarse.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    volume = level.per_graph(level.degree * assignment.square().sum(dim=-1, keepdim=True)).sum(dim=(-1, -2))
    return -(cut / volume.clamp(min=TINY)).mean(dim=1)


def orthogonality_loss(assignment: Tensor, level: Level) -> Tensor:
    """‖SᵀS/‖SᵀS‖ − I/√k‖, the mean over graphs (Bianchi et al. 2020, second term).

    assignment: [R, N, k]. Returns [R].
    """
    gramian = reduce(assignment, assignment, level).unflatten(1, (level.graphs, -1))
    k = gramian.shape[-1]
    gramian = gramian / torch.linalg.matrix_norm(gramian, keepdim=True)
    identity = torch.eye(k, device=gramian.device, dtype=gramian.dtype) / k**0.5
    return torch.linalg.matrix_norm(gramian - identity).mean(dim=1)


def link_loss(assignment: Tensor, coarse: Tensor, level: Level) -> Tensor:
    """‖A − S Sᵀ‖ / numel(A) over all graphs of a replica (Ying et al. 2018), as PyG's `dense_diff_pool`.

    assignment: [R, N, k]. coarse: Sᵀ A S, [R, B, k, k]. Returns [R]. The Gramian S Sᵀ of the nodes is never
    made: ‖A − S Sᵀ‖² = ‖A‖² − 2 tr(Sᵀ A S) + ‖Sᵀ S‖². numel(A) counts graphs padded to the replica's largest.
    """
    gramian = reduce(assignment, assignment, level)
    overlap = coarse.diagonal(dim1=-2, dim2=-1).sum(dim=(1, 2))
    squared = level.squared_norm - 2 * overlap + gramian.square().sum(dim=(1, 2))
    return squared.clamp(min=TINY).sqrt() / (level.graphs * level.sizes.amax(dim=1).square())


def entropy_loss(assignment: Tensor, level: Level) -> Tensor:
    """The mean entropy of a node's assignment (Ying et al. 2018), as PyG's `dense_diff_pool`.

    assignment: [R, N, k]. Returns [R]. The mean counts graphs padded to the replica's largest.
    """
    entropy = level.per_graph(-(assignment * (assignment + 1e-15).log()).sum(dim=-1, keepdim=True))
    return entropy.sum(dim=(1, 2, 3)) / (level.graphs * level.sizes.amax(dim=1))


def kl_loss(assignment: Tensor, level: NodeSets) -> Tensor:
    """KL(P ‖ S) summed over all nodes of a replica, P the sharper S²/column sums, its rows summing to one (GMN).

    assignment: [R, N, k]. Returns [R]. The column sums are those of each graph; P is not detached, as in PyG's
    `MemPooling.kl_loss` and the released code.
    """
    nodes = level.per_graph(assignment)
    sharper = nodes.square() / (nodes.sum(dim=2, keepdim=True) + TINY)
    sharper = sharper / (sharper.sum(dim=3, keepdim=True) + TINY)
    return (sharper * ((sharper + TINY).log() - (nodes + TINY).log())).sum(dim=(1, 2, 3))
