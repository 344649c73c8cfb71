"""What a model has to know of its data set."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fields:
    """Categorical features, as those of molecules: how many values each field of a node and of an edge has."""

    node: tuple[int, ...]
    edge: tuple[int, ...]


@dataclass(frozen=True)
class DataShape:
    """in_features: width of a node's features. out_features: width of a prediction. max_nodes: of the largest graph.

    fields: given if features are categorical; in_features then counts the fields of a node.
    """

    in_features: int
    out_features: int
    max_nodes: int
    fields: Fields | None = None
