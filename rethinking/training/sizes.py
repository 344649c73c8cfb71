"""How much is worked on at once: as many nodes as keep a core busy, since more take memory and gain nothing.

What a step costs beside its arithmetic is the same for any number of nodes; it is small from some ten thousand on.
docs/design.md (Speed) has what was measured.
"""

import math

from rethinking.data.dataset import GraphDataset

# Of all replicas together.
NODES = 2**16


def replicas_at_once(dataset: GraphDataset, batch_size: int) -> int:
    """How many replicas train together at most. batch_size: graphs a step and replica."""
    return _at_once(dataset, batch_size)


def graphs_at_once(dataset: GraphDataset, replicas: int) -> int:
    """How many graphs of each replica are evaluated together."""
    return _at_once(dataset, replicas)


def in_equal_parts(count: int, most: int) -> int:
    """How many of `count` go together so that no more than `most` do, and the last ones are not left alone."""
    return math.ceil(count / math.ceil(count / most))


def _at_once(dataset: GraphDataset, other: int) -> int:
    return max(1, round(NODES * len(dataset) / (len(dataset.x) * other)))
