"""Connect: which clusters are joined by edges; the level that the clusters are.

Each says which form of clusters it takes, and is called as connect(selection, same_always).
"""

from typing import cast

import numpy as np
import torch
from numba import njit
from torch import nn

from rethinking.graphs.levels import DenseLevel, Level, NodeSets, SetLevel, SparseLevel
from rethinking.graphs.topology import Topology
from rethinking.pooling.normalise import normalise
from rethinking.pooling.selection import HardSelection, Selection, SoftSelection


class Connect(nn.Module):
    """The base of all."""

    def accept(self, selection: Selection, dtype: torch.dtype) -> Selection:
        """The clusters in the form it takes: soft. Raises TypeError if they cannot be had so.

        dtype: of the features.
        """
        if isinstance(selection, HardSelection) and selection.width is None:
            raise TypeError(
                "this family takes hard clusters only from a Select that says how many columns S has (`width`), as "
                "many for every graph; otherwise a prediction would depend on the other graphs of a batch"
            )
        return selection.soft(dtype)

    def forward(self, selection: Selection, same_always: bool) -> NodeSets:
        """same_always: whether a graph has the same clusters every time."""
        raise NotImplementedError


class AnyEdgeConnect(Connect):
    """A'_kl = 1 iff an edge leads from cluster k to another, l (Eq. 3). Directions are kept. For hard clusters."""

    def accept(self, selection: Selection, dtype: torch.dtype) -> Selection:
        """Raises TypeError for soft clusters, or those of nodes that have no list of edges."""
        if not isinstance(selection, HardSelection) or not isinstance(selection.level, SparseLevel):
            raise TypeError("this family needs a Select that gives hard clusters; this one gives soft ones")
        return selection

    def forward(self, selection: HardSelection, same_always: bool) -> SparseLevel:  # type: ignore[override]
        """See `Connect`."""
        level = cast(SparseLevel, selection.level)
        fine = level.topology
        ptr, nodes, *_ = selection.members_of
        in_ptr, in_rows = _merge_edges(fine.in_ptr, fine.in_rows, selection.of, ptr, nodes)
        out_ptr, out_rows = in_ptr, in_rows
        if fine.directed:
            out_ptr, out_rows = _merge_edges(fine.out_ptr, fine.out_rows, selection.of, ptr, nodes)
        width, start = selection.place
        coarse = Topology(fine.replicas, width, start, selection.count, in_ptr, in_rows, out_ptr, out_rows)
        return level.coarser(coarse, same_always)


class ProductConnect(Connect):
    """A' = Sᵀ A S. For soft clusters."""

    def forward(self, selection: SoftSelection, same_always: bool) -> DenseLevel:  # type: ignore[override]
        """See `Connect`."""
        level = cast(Level, selection.level)
        return DenseLevel(selection.contract(level), level.directed)


class NormalisedConnect(Connect):
    """A' = Sᵀ A S without its diagonal, symmetrically normalised (MinCutPool). For soft clusters."""

    def forward(self, selection: SoftSelection, same_always: bool) -> DenseLevel:  # type: ignore[override]
        """See `Connect`."""
        level = cast(Level, selection.level)
        return DenseLevel(normalise(selection.contract(level)), level.directed)


class NoConnect(Connect):
    """Clusters without edges (GMN). For soft clusters."""

    def forward(self, selection: SoftSelection, same_always: bool) -> SetLevel:  # type: ignore[override]
        """See `Connect`."""
        level = selection.level
        return SetLevel(level.replicas, level.graphs, selection.assignment.shape[-1], level.device)


@njit(cache=True, nogil=True)
def _merge_edges(edge_ptr, edge_rows, of, ptr, nodes):
    coarse_ptr = np.empty_like(ptr)
    coarse_rows = np.empty(len(edge_rows), np.int64)
    joined_to = np.full(len(ptr) - 1, -1, np.int64)
    filled = 0
    coarse_ptr[0] = 0
    for cluster in range(len(ptr) - 1):
        joined_to[cluster] = cluster
        for row in nodes[ptr[cluster] : ptr[cluster + 1]]:
            for other in edge_rows[edge_ptr[row] : edge_ptr[row + 1]]:
                target = of[other]
                # A node that is dropped takes its edges with it.
                if target >= 0 and joined_to[target] != cluster:
                    joined_to[target] = cluster
                    coarse_rows[filled] = target
                    filled += 1
        coarse_ptr[cluster + 1] = filled
    return coarse_ptr, coarse_rows[:filled].copy()
