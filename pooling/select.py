"""Select: which nodes form a cluster. A family makes one for each of its pooling layers.

It is called as `select(replicas=…, in_features=…, max_nodes=…, clusters=…)`; what else it takes comes from its file in
`conf/pooling`.
"""

from typing import Any, Protocol

from torch import Tensor, nn

from rethinking.graphs.levels import Level, NodeSets
from rethinking.layers.initial import InitialDraw, ReplicaLayer
from rethinking.pooling.selection import Selection, join, parts_of


class Select(ReplicaLayer):
    """The base of all Selects.

    is_local: whether clusters are made of nodes that are close to each other; None if nobody has said so, then the
    variant's file must (`is_local: true`) for it to be compared.
    has_loss: whether the family's auxiliary losses apply, which teach it; they need soft clusters whose rows of S sum
    to one.
    precomputable: whether clusters depend on each graph alone, and nothing is drawn. They are then computed when a
    batch has a graph that was not met yet, and kept; features come without columns.
    sees_features: whether clusters depend on features or on what is learned. Those that do not, as matchings, can be
    drawn before a step, and then features come without columns too.
    """

    is_local: bool | None = None
    has_loss: bool = False
    precomputable: bool = False
    sees_features: bool = True

    def reset(self, draw: InitialDraw) -> None:
        """Nothing of its own, unless a subclass has something; its layers draw their weights."""

    def forward(self, x: Tensor, level: Any) -> Selection:
        """x: [R, N, F]. level: the graphs, or for some families sets of nodes without edges. Returns the clusters."""
        raise NotImplementedError

    @property
    def taught(self) -> list[nn.Parameter]:
        """Those of its parameters that learn from a loss of their own only, in epochs of their own (GMN)."""
        return []

    def view(self, level: Level) -> Level:
        """The graphs by which it clusters, and to which the auxiliary losses refer: those of the level."""
        return level


class MakeSelect(Protocol):
    """What a family is given: makes the Select of one pooling layer."""

    def __call__(self, *, replicas: int, in_features: int, max_nodes: int, clusters: int) -> Select:
        """in_features: width of x. max_nodes: of the largest graph at this level. clusters: wanted of each graph."""
        ...


def select_once(select: Select, x: Tensor, level: NodeSets) -> Selection:
    """`select(x, level)`, or for one that is precomputable what was kept of each graph when it was first seen."""
    if not select.precomputable or level.origin is None:
        return _checked(select, select(x, level))
    kept = level.origin.kept.setdefault((select, level.depth), {})
    graphs = level.origin.graphs.tolist()
    if not all(graph in kept for graph in graphs):
        kept.update(zip(graphs, parts_of(_checked(select, select(x[..., :0], level))), strict=True))
    return join([kept[graph] for graph in graphs], level)


def _checked(select: Select, selection: Any) -> Selection:
    if not isinstance(selection, Selection):
        raise TypeError(
            f"{type(select).__name__} returns a {type(selection).__name__}; expected a Selection: SoftSelection(S, "
            "level) or HardSelection.of_nodes(cluster, count, level)"
        )
    return selection
