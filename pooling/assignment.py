"""Selects of the kind `assignment`: S, a soft assignment of every node to k clusters.

A family makes one Select for each of its pooling layers, as
`select(replicas=…, in_features=…, max_nodes=…, clusters=…)`.
"""

from typing import Protocol

from torch import Tensor, nn

from rethinking.graphs.levels import Level
from rethinking.layers.convolutions import SageConv, SageStack
from rethinking.layers.initial import InitialDraw, ReplicaLayer
from rethinking.layers.linear import Linear


class Assignment(ReplicaLayer):
    """has_loss: whether the family's auxiliary losses apply, which teach it; those that are drawn have none."""

    is_local: bool
    has_loss: bool

    def reset(self, draw: InitialDraw) -> None:
        """Nothing of its own, unless a subclass has something; its layers draw their weights."""

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """x: [R, N, F]. Returns S [R, N, k], undefined in padding rows; where `has_loss`, rows sum to one."""
        raise NotImplementedError

    @property
    def taught(self) -> list[nn.Parameter]:
        """Those of its parameters that learn from a loss of their own only, in epochs of their own (GMN)."""
        return []

    def view(self, level: Level) -> Level:
        """The graphs by which it clusters, and to which the auxiliary losses refer: those of the level."""
        return level


class MakeAssignment(Protocol):
    """What a family is given: makes the Select of one pooling layer."""

    def __call__(self, replicas: int, in_features: int, max_nodes: int, clusters: int) -> Assignment:
        """in_features: width of x. max_nodes: of the largest graph at this level."""
        ...


class LinearAssignment(Assignment):
    """S = softmax(X W + b), MinCutPool's own (Bianchi et al. 2020)."""

    is_local = True
    has_loss = True

    def __init__(self, replicas: int, in_features: int, max_nodes: int, clusters: int) -> None:
        super().__init__()
        self.scores = Linear(replicas, in_features, clusters)

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """See `Assignment`."""
        return self.scores(x).softmax(dim=-1)


class SageAssignment(Assignment):
    """S = softmax(GNN(A, X)) with one SAGE convolution, that of DiffPool's first version (Eq. 4)."""

    is_local = True
    has_loss = True

    def __init__(self, replicas: int, in_features: int, max_nodes: int, clusters: int) -> None:
        super().__init__()
        self.scores = SageConv(replicas, in_features, clusters)

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """See `Assignment`."""
        return self.scores(x, level).softmax(dim=-1)


class SageStackAssignment(Assignment):
    """S = softmax(Linear(SAGE stack(A, X))), that of DiffPool's second version (Errica et al. 2020)."""

    is_local = True
    has_loss = True

    def __init__(
        self, replicas: int, in_features: int, max_nodes: int, clusters: int, hidden: int, norm_counts_padding: bool
    ) -> None:
        super().__init__()
        self.stack = SageStack(replicas, in_features, hidden, clusters, norm_counts_padding)
        self.scores = Linear(replicas, self.stack.out_features, clusters)

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """See `Assignment`."""
        return self.scores(self.stack(x, level)).softmax(dim=-1)


class OnComplement(Assignment):
    """Another Select on the complement graphs: its network and its losses see who is *not* joined by an edge.

    select: makes the other Select, such as a family's own.
    """

    is_local = False

    def __init__(
        self, replicas: int, in_features: int, max_nodes: int, clusters: int, select: "MakeAssignment"
    ) -> None:
        super().__init__()
        self.select = select(replicas=replicas, in_features=in_features, max_nodes=max_nodes, clusters=clusters)
        self.has_loss = self.select.has_loss

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """See `Assignment`."""
        return self.select(x, level.complement)

    @property
    def taught(self) -> list[nn.Parameter]:
        """Those of its parameters that learn from a loss of their own only, in epochs of their own (GMN)."""
        return []

    def view(self, level: Level) -> Level:
        """The complement graphs."""
        return level.complement
