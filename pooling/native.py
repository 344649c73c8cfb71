"""The harness' own pooling layers in the host: all replicas at once, with their own clusters or those of a twin.

A twin here changes a Selection, as those of `twins.py` change what an operator of elsewhere returns; the same numbers
are drawn.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.draws import derive, normal
from rethinking.graphs.levels import NodeSets
from rethinking.graphs.listed import numbers_of
from rethinking.layers.initial import InitialDraw, ReplicaLayer
from rethinking.pooling.connect import Connect
from rethinking.pooling.pool import Loss, Pool, Pooled
from rethinking.pooling.select import MakeSelect
from rethinking.pooling.selection import HardSelection, Selection, SoftSelection
from rethinking.pooling.twins import permuted, scattered

# Called with a Selection and a random stream of each graph, uint64 [R·B], the same in every step.
SelectionTwin = Callable[[Selection, np.ndarray], Selection]


@dataclass(frozen=True)
class Parts:
    """What a layer is made of; each makes its part. losses: by name, with their weights."""

    select: MakeSelect
    reduce: Callable[[], nn.Module]
    connect: Callable[[], Connect]
    losses: Mapping[str, Loss] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, **sizes: Any) -> nn.Module:
        """Where an operator that knows no replicas is wanted. Raises ValueError: these parts do."""
        raise ValueError(
            "it is made of the harness' own parts, of which there is no scorecard; one of a library has one"
        )


class NativePool(ReplicaLayer, Pool):
    """A pooling layer of own parts. twin: what takes the place of its clusters; losses are those of its own.

    select: in place of that of the parts. taught: whether there are losses at all. ratio: unused: the number of
    clusters is given, or follows from the graphs.
    """

    def __init__(
        self,
        replicas: int,
        in_features: int,
        max_nodes: int,
        clusters: int,
        ratio: float,
        operator: Parts,
        twin: SelectionTwin | None = None,
        select: MakeSelect | None = None,
        taught: bool = True,
    ) -> None:
        chosen = (select or operator.select)(
            replicas=replicas, in_features=in_features, max_nodes=max_nodes, clusters=clusters
        )
        super().__init__(chosen, operator.reduce(), operator.connect(), losses=operator.losses if taught else None)
        self.weights = operator.weights
        self.twin = twin
        self.out_features = in_features
        # By what the twin draws, once for each graph and seed.
        self.key: Tensor
        self.register_buffer("key", torch.zeros(replicas, dtype=torch.int64))

    def reset(self, draw: InitialDraw) -> None:
        """The key of each replica from its `assignment` stream."""
        self.key.copy_(draw.assignment_keys())

    def forward(self, x: Tensor, level: Any) -> Pooled:
        """See `PoolingLayer`."""
        pooled = super().forward(x, level)
        losses = {name: self.weights[name] * loss for name, loss in pooled.losses.items()}
        if self.twin is None or pooled.selection is None:
            return replace(pooled, losses=losses)
        numbers = numbers_of(level)
        of_replica = np.repeat(self.key.cpu().numpy().astype(np.uint64), level.graphs)
        selection = self.twin(pooled.selection, derive(of_replica, numbers))
        coarse = self.connect(selection, False)
        coarse.numbers = numbers
        return Pooled(self.reduce(x, selection), coarse, selection, losses)


def shuffled(own: Selection, keys: np.ndarray) -> Selection:
    """The same clusters of other nodes, by one permutation of each graph's."""
    level = own.level
    rows, graph = _nodes(level)
    to = np.arange(len(level.graph_of_row))
    to[rows] = rows[permuted(graph, keys)]
    if isinstance(own, HardSelection):
        cluster = np.full_like(own.cluster, -1)
        cluster[to] = own.cluster
        return HardSelection(cluster, own.count, level, _moved(own.weight, to), own.width)
    moved = _moved(own.dense(), to)
    assert moved is not None
    return SoftSelection(moved, level)


def random(own: Selection, keys: np.ndarray) -> Selection:
    """As many clusters of as many nodes, drawn; see `RandomClusters`."""
    level = own.level
    rows, graph = _nodes(level)
    if isinstance(own, HardSelection):
        there = own.cluster[rows] >= 0
        nodes, covered = (np.bincount(graph[chosen], minlength=len(keys)) for chosen in (slice(None), there))
        node, cluster = scattered(nodes, own.count, covered, permuted(graph, keys), keys)
        drawn = np.full_like(own.cluster, -1)
        drawn[rows[node]] = cluster - (np.cumsum(own.count) - own.count)[graph[node]]
        return HardSelection(drawn, own.count, level, width=own.width)
    s = own.dense().detach()
    place = level.position.flatten().cpu().numpy()[rows]
    of_node = derive(keys[graph], place)
    columns = s.shape[-1]
    logits = normal(derive(np.repeat(of_node, columns), np.tile(np.arange(columns), len(rows))))
    soft = torch.from_numpy(logits).to(s).view(-1, columns).softmax(dim=-1)
    whole = torch.zeros_like(s).flatten(0, 1).index_copy(0, torch.from_numpy(rows).to(s.device), soft)
    return SoftSelection(whole.view_as(s), level)


def _nodes(level: NodeSets) -> tuple[np.ndarray, np.ndarray]:
    """The rows that are nodes, and the graph of each, counted over all replicas."""
    rows = np.flatnonzero(level.graph_of_row < level.replicas * level.graphs)
    return rows, level.graph_of_row[rows]


def _moved(values: Tensor | None, to: np.ndarray) -> Tensor | None:
    """Each row at another place. values: [R, N, F]."""
    if values is None:
        return None
    flat = values.flatten(0, 1)
    return torch.zeros_like(flat).index_copy(0, torch.from_numpy(to).to(flat.device), flat).view_as(values)
