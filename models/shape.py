"""What a model has to know of its data set."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataShape:
    """in_features: width of a node's features. out_features: width of a prediction. max_nodes: of the largest graph."""

    in_features: int
    out_features: int
    max_nodes: int
