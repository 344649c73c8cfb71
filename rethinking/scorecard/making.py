"""How an operator is made for the graphs it is to pool."""

import math
from collections.abc import Callable, Sequence

from rethinking.pooling.operators.interface import Operator

# Called with in_features, clusters (how many a graph has, for operators with a fixed number), ratio and max_nodes.
MakeOperator = Callable[..., Operator]


def make_operator(make: MakeOperator, in_features: int, ratio: float, sizes: Sequence[int]) -> Operator:
    """For graphs of these numbers of nodes: ⌈ratio · mean⌉ clusters, or a share `ratio` of the nodes of each."""
    clusters = math.ceil(ratio * sum(sizes) / len(sizes))
    return make(in_features=in_features, clusters=clusters, ratio=ratio, max_nodes=max(sizes))
