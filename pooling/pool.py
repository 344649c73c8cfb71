"""Pool: one pooling layer, a composition of Select, Reduce, Connect and Lift."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from rethinking.graphs.levels import NodeSets
from rethinking.pooling.connect import Connect
from rethinking.pooling.lift import TransposeLift
from rethinking.pooling.select import Select, select_once
from rethinking.pooling.selection import Selection

# A loss of a pooling layer: of the clusters and the graphs they refer to, [R].
Loss = Callable[[Any, Any], Tensor]


@dataclass(frozen=True)
class Pooled:
    """What a pooling layer returns.

    x: [R, N', F'], the features of the clusters. level: the clusters as graphs. selection: which nodes they are made
    of; None where an operator of elsewhere does not say. losses: [R] each, by name, not weighted; none where the Select
    learns from none.
    """

    x: Tensor
    level: NodeSets
    selection: Selection | None
    losses: dict[str, Tensor]


class PoolingLayer(nn.Module):
    """The base of all pooling layers, by which those that look at them know them.

    out_features: F' of `Pooled`. says_assignment: whether it says which nodes its clusters are made of.
    """

    out_features: int
    says_assignment: bool = True

    def forward(self, x: Tensor, level: Any) -> Pooled:
        """x: [R, N, F]. level: the graphs whose nodes these are."""
        raise NotImplementedError


class Pool(PoolingLayer):
    """A pooling layer composed of its parts.

    select: which nodes form a cluster. reduce: called as reduce(x, selection), the features of the clusters.
    connect: called as connect(selection, same_always), the level of the clusters. lift: called as lift(x, selection),
    back to the nodes. losses: by name, those that teach a Select with `has_loss`.
    """

    def __init__(
        self,
        select: Select,
        reduce: nn.Module,
        connect: Connect,
        lift: nn.Module | None = None,
        losses: Mapping[str, Loss] | None = None,
    ) -> None:
        super().__init__()
        self.select = select
        self.reduce = reduce
        self.connect = connect
        self.lift = TransposeLift() if lift is None else lift
        self.losses = dict(losses or {}) if select.has_loss else {}

    def forward(self, x: Tensor, level: NodeSets) -> Pooled:
        """x: [R, N, F]. level: the graphs whose nodes these are."""
        selection, coarse = level.drawn.get(self) or self.clusters(x, level)
        losses = {}
        if self.losses:
            view = self.select.view(level)  # type: ignore[arg-type]
            losses = {name: loss(selection, view) for name, loss in self.losses.items()}
        return Pooled(self.reduce(x, selection), coarse, selection, losses)

    def clusters(self, x: Tensor, level: NodeSets) -> tuple[Selection, NodeSets]:
        """Which nodes form a cluster, and the level that the clusters are."""
        selection = self.connect.accept(select_once(self.select, x, level), x.dtype)
        return selection, self.connect(selection, self.select.precomputable)
