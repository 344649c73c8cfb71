"""Selects that give soft clusters by a network: those of MinCutPool and DiffPool, and them on the complement graph."""

from collections.abc import Callable

from torch import Tensor, nn

from rethinking.graphs.levels import Level
from rethinking.layers.convolutions import SageConv, SageStack
from rethinking.layers.linear import Linear
from rethinking.layers.rows import softmax
from rethinking.pooling.select import MakeSelect, Select
from rethinking.pooling.selection import SoftSelection


class LinearAssignment(Select):
    """S = softmax(X W + b), MinCutPool's own (Bianchi et al. 2020)."""

    is_local = True
    has_loss = True

    def __init__(self, replicas: int, in_features: int, max_nodes: int, clusters: int) -> None:
        super().__init__()
        self.scores = Linear(replicas, in_features, clusters)

    def forward(self, x: Tensor, level: Level) -> SoftSelection:
        """See `Select`."""
        return SoftSelection(softmax(self.scores(x)), level)


class SageAssignment(Select):
    """S = softmax(GNN(A, X)) with one SAGE convolution, that of DiffPool's first version (Eq. 4).

    conv: another convolution than the released code's (fidelity ledger, row 15).
    """

    is_local = True
    has_loss = True

    def __init__(
        self,
        replicas: int,
        in_features: int,
        max_nodes: int,
        clusters: int,
        conv: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.scores = (conv or SageConv)(replicas=replicas, in_features=in_features, out_features=clusters)

    def forward(self, x: Tensor, level: Level) -> SoftSelection:
        """See `Select`."""
        return SoftSelection(softmax(self.scores(x, level)), level)


class SageStackAssignment(Select):
    """S = softmax(Linear(SAGE stack(A, X))), that of DiffPool's second version (Errica et al. 2020)."""

    is_local = True
    has_loss = True

    def __init__(
        self, replicas: int, in_features: int, max_nodes: int, clusters: int, hidden: int, norm_counts_padding: bool
    ) -> None:
        super().__init__()
        self.stack = SageStack(replicas, in_features, hidden, clusters, norm_counts_padding)
        self.scores = Linear(replicas, self.stack.out_features, clusters)

    def forward(self, x: Tensor, level: Level) -> SoftSelection:
        """See `Select`."""
        return SoftSelection(softmax(self.scores(self.stack(x, level))), level)


class OnComplement(Select):
    """Another Select on the complement graphs: its network and its losses see who is *not* joined by an edge.

    select: makes the other Select, such as a family's own.
    """

    is_local = False

    def __init__(self, replicas: int, in_features: int, max_nodes: int, clusters: int, select: MakeSelect) -> None:
        super().__init__()
        self.select = select(replicas=replicas, in_features=in_features, max_nodes=max_nodes, clusters=clusters)
        self.has_loss = self.select.has_loss

    def forward(self, x: Tensor, level: Level) -> SoftSelection:
        """See `Select`."""
        return SoftSelection(self.select(x, level.complement).dense(), level)

    def view(self, level: Level) -> Level:
        """The complement graphs."""
        return level.complement
