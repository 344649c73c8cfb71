"""The assignment of an operator of elsewhere, as a Selection: made into matrices only where somebody looks."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from rethinking.graphs.listed import ListedLevel
from rethinking.graphs.sparse import SparseLevel
from rethinking.pooling.operators.interface import Assignment
from rethinking.pooling.selection import Selection, SoftSelection


class ListedSelection(Selection):
    """assignments: of the graphs of each replica. level: of the nodes."""

    level: SparseLevel | ListedLevel

    def __init__(self, assignments: Sequence[Assignment], level: SparseLevel | ListedLevel) -> None:
        self.assignments = list(assignments)
        self.level = level

    def dense(self) -> Tensor:
        """See `Selection`."""
        return self._soft.assignment

    @property
    def sizes(self) -> Tensor:
        """See `Selection`."""
        return self._soft.sizes

    @property
    def members(self) -> Tensor:
        """See `Selection`."""
        share = self.dense().abs()  # A weight may be a score below zero.
        return share.argmax(dim=-1).masked_fill(share.sum(dim=-1) == 0, -1)

    def lift(self, x: Tensor) -> Tensor:
        """See `Selection`."""
        wide = self._by_place(x)
        return self.level.from_graphs(self.level.per_graph(self.dense()) @ wide)

    def by_graph(self, x: Tensor) -> Tensor:
        """See `Selection`."""
        return self._by_place(x)

    def soft(self, dtype: torch.dtype | None = None) -> SoftSelection:
        """See `Selection`."""
        return self._soft.soft(dtype)

    def of_graph(self, graph: int) -> np.ndarray:
        """See `Selection`. Returns [n, the clusters of that graph]."""
        replica, number = divmod(graph, self.level.graphs)
        own = self.assignments[replica]
        rows, clusters = self.level.rows_of(graph), own.batch == number
        first_node = rows.start - replica * self.level.topology.width
        first = int((own.batch < number).sum())
        matrix = np.zeros((rows.stop - rows.start, int(clusters.sum())))
        inside = clusters[own.cluster]
        places = (own.node[inside] - first_node, own.cluster[inside] - first)
        node, cluster = (place.cpu().numpy() for place in places)
        np.add.at(matrix, (node, cluster), own.weight[inside].detach().cpu().numpy())
        return matrix

    @cached_property
    def _counts(self) -> Tensor:
        """The clusters of each graph. Returns int64 [R, B]."""
        return torch.stack([torch.bincount(own.batch, minlength=self.level.graphs) for own in self.assignments])

    @cached_property
    def _soft(self) -> SoftSelection:
        width, columns = self.level.topology.width, int(self._counts.max())
        matrices = []
        for own, count in zip(self.assignments, self._counts, strict=True):
            place = own.cluster - (count.cumsum(0) - count)[own.batch[own.cluster]]
            empty = own.weight.new_zeros(width, columns)
            matrices.append(empty.index_put((own.node, place), own.weight, accumulate=True))
        return SoftSelection(torch.stack(matrices), self.level)

    def _by_place(self, x: Tensor) -> Tensor:
        counts = self._counts
        place = torch.arange(int(counts.max()), device=x.device)
        exists = place < counts[..., None]
        first = counts.cumsum(dim=1) - counts
        rows = torch.where(exists, first[..., None] + place, 0)
        values = torch.stack([own[row] for own, row in zip(x, rows, strict=True)])
        return values.masked_fill(~exists[..., None], 0)
