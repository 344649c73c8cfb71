"""What a family has to know of its data set, and how it begins on features of either kind."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from rethinking.graphs.fields import Fields
from rethinking.graphs.levels import SparseLevel
from rethinking.layers.molecules import MoleculeConv


@dataclass(frozen=True)
class DataShape:
    """in_features: width of a node's features. out_features: width of a prediction. max_nodes: of the largest graph.

    fields: given if features are categorical; in_features then counts the fields of a node. mean_nodes: of a graph.
    """

    in_features: int
    out_features: int
    max_nodes: int
    fields: Fields | None = None
    mean_nodes: float = 0.0


def first_conv(
    replicas: int, shape: DataShape, features: int, plain: Callable[[int, int, int], nn.Module]
) -> nn.Module:
    """A family's first convolution: `plain`, or for molecules the one that sees atoms and bonds."""
    if shape.fields:
        return MoleculeConv(replicas, shape.fields, features)
    return plain(replicas, shape.in_features, features)


class NoEncoder(nn.Module):
    """For features that are numbers already."""

    def forward(self, x: Tensor, level: SparseLevel) -> Tensor:
        """Returns x."""
        return x


def encoder(replicas: int, shape: DataShape, features: int) -> tuple[nn.Module, int]:
    """What turns categorical features into numbers before a family's own layers, and the width of the result."""
    if shape.fields:
        return MoleculeConv(replicas, shape.fields, features), features
    return NoEncoder(), shape.in_features
