"""Pooling layers of operators of elsewhere: one replica after another, on the harness' own levels."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.draws import derive
from rethinking.graphs.levels import DenseLevel, NodeSets
from rethinking.graphs.listed import Listed, ListedLevel, listed, numbers_of
from rethinking.graphs.sparse import SparseLevel
from rethinking.layers.copies import Copies
from rethinking.layers.initial import InitialDraw
from rethinking.pooling.known import Known, is_known_by_edges, know, pooled
from rethinking.pooling.listed_selection import ListedSelection
from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, Operator, alone
from rethinking.pooling.operators.sentences import checked
from rethinking.pooling.pool import Pooled, PoolingLayer
from rethinking.pooling.selection import HardSelection
from rethinking.pooling.twins import Own, Twin


class MakePool(Protocol):
    """What a host is given: makes one of its pooling layers."""

    def __call__(self, *, replicas: int, in_features: int, max_nodes: int, clusters: int, ratio: float) -> PoolingLayer:
        """max_nodes: of the largest graph. clusters: of each graph, where their number is fixed. ratio: kept nodes."""
        ...


class ForeignPool(Copies, PoolingLayer):
    """A pooling layer of R copies of an operator, with its own clusters or those of a twin.

    operator: called as operator(in_features=…, max_nodes=…, clusters=…, ratio=…), an `Operator`.
    """

    def __init__(
        self,
        replicas: int,
        in_features: int,
        max_nodes: int,
        clusters: int,
        ratio: float,
        operator: Callable[..., Operator],
        twin: Twin | None = None,
    ) -> None:
        sizes = {"in_features": in_features, "max_nodes": max_nodes, "clusters": clusters, "ratio": ratio}
        super().__init__(replicas, lambda: operator(**sizes))
        alike = cast(Operator, self.template)
        self.twin = (twin or Own()).of(alike, in_features)
        self.out_features = alike.out_features or in_features
        self.says_assignment = alike.says_assignment
        # By replica, what is known of graphs by their numbers; None if the operator must be called in every step.
        self._known: dict[int, dict[int, Known]] | None = {} if is_known_by_edges(alike) else None
        if self.twin.needs_assignment and not alike.says_assignment:
            raise ValueError(
                "this operator does not say which nodes its clusters are made of, so they cannot be exchanged; "
                "pooling=learned, shuffled_input, none and whole are possible"
            )
        # By what the twin draws, once for each graph and seed.
        self.key: Tensor
        self.register_buffer("key", torch.zeros(replicas, dtype=torch.int64))

    def know(self, draw: InitialDraw) -> None:
        """The key of each replica from its `assignment` stream."""
        self.key.copy_(draw.assignment_keys())

    def name_of(self, replica: int) -> int:
        """Its key."""
        return int(self.key[replica])

    def forward(self, x: Tensor, level: SparseLevel | ListedLevel) -> Pooled:
        """See `PoolingLayer`."""
        numbers = numbers_of(level).reshape(level.replicas, -1)
        coarse = []
        for replica, part in enumerate(listed(level)):
            own = x[replica, : part.nodes]
            graphs = Graphs(own, part.edge_index, part.edge_weight, part.batch, level.graphs, level.directed)
            keys = derive(np.full(level.graphs, int(self.key[replica]), np.uint64), numbers[replica])
            if self._known is not None:
                known = self._known.setdefault(int(self.key[replica]), {})
                for place, number in enumerate(numbers[replica].tolist()):
                    if number not in known:
                        known[number] = self._know(replica, alone(graphs, place), keys[place : place + 1])
                coarse.append(pooled([known[number] for number in numbers[replica].tolist()], graphs.x))
            else:
                made = self.twin(partial(self.call, replica, part.seed), graphs, keys)
                # A replica whose numbers are no longer finite fails alone, and later.
                coarse.append(checked(made, graphs, "the operator", numbers=False))
        return _pooled(coarse, level)

    def _know(self, replica: int, graph: Graphs, key: np.ndarray) -> Known:
        """Of one graph. What is drawn follows from its own key, [1], not from when it was met."""
        call = partial(self.call, replica, int(key[0]) >> 1)

        def operator(graph: Graphs, given: Assignment | None = None) -> Coarse:
            # Its own clusters are given, too, so that a twin that gives it the same pools in the same way.
            return call(graph, call(graph).assignment if given is None else given)

        return know(lambda graph: self.twin(operator, graph, key), graph)


class NoPool(PoolingLayer):
    """No pooling: every node is a cluster of its own."""

    def __init__(self, in_features: int, **sizes: Any) -> None:
        super().__init__()
        self.out_features = in_features

    def forward(self, x: Tensor, level: SparseLevel | ListedLevel) -> Pooled:
        """See `PoolingLayer`."""
        present = level.present.squeeze(-1)
        itself = HardSelection.of_nodes(level.position, level.sizes.long(), level)
        return Pooled(x * present[..., None], level, itself, {})


class WholeGraph(PoolingLayer):
    """All nodes of a graph in one cluster, with the mean of their features: global pooling."""

    def __init__(self, in_features: int, **sizes: Any) -> None:
        super().__init__()
        self.out_features = in_features

    def forward(self, x: Tensor, level: NodeSets) -> Pooled:
        """See `PoolingLayer`."""
        ones = torch.ones_like(level.sizes, dtype=torch.int64)
        one = HardSelection.of_nodes(torch.zeros_like(level.position), ones, level)
        no_edges = x.new_zeros(level.replicas, level.graphs, 1, 1)
        return Pooled(level.graph_mean(x), DenseLevel(no_edges, directed=False), one, {})


def _pooled(coarse: list[Coarse], level: SparseLevel | ListedLevel) -> Pooled:
    parts = [
        Listed(len(c.graphs.x), c.graphs.edge_index, c.graphs.edge_weight, c.graphs.batch, part.seed + 1)
        for c, part in zip(coarse, listed(level), strict=True)
    ]
    x = nn.utils.rnn.pad_sequence([c.graphs.x for c in coarse], batch_first=True)
    assignments = [c.assignment for c in coarse if c.assignment is not None]
    names = coarse[0].losses
    for other in (c.losses for c in coarse):
        if other.keys() != names.keys():
            found = [", ".join(sorted(losses)) or "none" for losses in (names, other)]
            raise ValueError(
                f"the operator returns other losses in one call ({found[0]}) than in another ({found[1]}); expected "
                "the same names in each."
            )
    return Pooled(
        x,
        ListedLevel(level, parts),
        ListedSelection(assignments, level) if len(assignments) == len(coarse) else None,
        {name: torch.stack([c.losses[name] for c in coarse]) for name in names},
    )
