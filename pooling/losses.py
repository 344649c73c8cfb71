"""The losses that teach soft clusters. Each takes the clusters and the graphs they refer to, and returns [R].

The graphs are those of the level, or for `complement` their complement graphs; a weight and a sum over pooling layers
are the family's.
"""

from torch import Tensor

from rethinking.graphs.levels import Level
from rethinking.pooling.entropy import entropy
from rethinking.pooling.gramian import gramian_square
from rethinking.pooling.normalise import TINY
from rethinking.pooling.orthogonality import orthogonality
from rethinking.pooling.selection import SoftSelection


def mincut_loss(selection: SoftSelection, level: Level) -> Tensor:
    """−tr(Sᵀ A S) / tr(Sᵀ D S), the mean over graphs (Bianchi et al. 2020, first term of the loss).

    A graph without edges has nothing to cut and counts as zero.
    """
    cut, volume = selection.cut(level), selection.volume(level)
    # Not by the clamp alone: in a complement graph a cut of nothing is a difference, and what rounding leaves of it.
    return -(cut / volume.clamp(min=TINY) * (volume > TINY)).mean(dim=1)


def orthogonality_loss(selection: SoftSelection, level: Level) -> Tensor:
    """‖SᵀS/‖SᵀS‖ − I/√k‖, the mean over graphs (Bianchi et al. 2020, second term)."""
    return orthogonality(selection.assignment, *level.spans).view(level.replicas, level.graphs).mean(dim=1)


def link_loss(selection: SoftSelection, level: Level) -> Tensor:
    """‖A − S Sᵀ‖ / numel(A) over all graphs of a replica (Ying et al. 2018), as PyG's `dense_diff_pool`.

    The Gramian S Sᵀ of the nodes is never made: ‖A − S Sᵀ‖² = ‖A‖² − 2 tr(Sᵀ A S) + ‖Sᵀ S‖². numel(A) counts graphs
    padded to the replica's largest.
    """
    overlap = selection.cut(level).sum(dim=1)
    gramian = gramian_square(selection.assignment, *level.spans).view(level.replicas, level.graphs).sum(dim=1)
    squared = level.squared_norm - 2 * overlap + gramian
    return squared.clamp(min=TINY).sqrt() / (level.padded_count * level.sizes.amax(dim=1))


def entropy_loss(selection: SoftSelection, level: Level) -> Tensor:
    """The mean entropy of a node's assignment (Ying et al. 2018), as PyG's `dense_diff_pool`.

    The mean counts graphs padded to the replica's largest.
    """
    return entropy(selection.assignment, level.node_count) / level.padded_count


def kl_loss(selection: SoftSelection) -> Tensor:
    """KL(P ‖ S) summed over all nodes of a replica, P the sharper S²/column sums, its rows summing to one (GMN).

    The column sums are those of each graph; P is not detached, as in PyG's `MemPooling.kl_loss` and the released code.
    """
    # Over nodes as they lie: graphs padded to the largest may be twenty times as many rows.
    level, s, present = selection.level, selection.assignment, selection.level.present
    if present is not None:
        s = s.masked_fill(~present, 1)  # What stands in padding is not known.
    sharper = s * s / (level.to_nodes(level.graph_sum(s)) + TINY)
    sharper = sharper / (sharper.sum(dim=2, keepdim=True) + TINY)
    each = sharper * ((sharper + TINY).log() - (s + TINY).log())
    if present is not None:
        each = each.masked_fill(~present, 0)
    return each.sum(dim=(1, 2))
