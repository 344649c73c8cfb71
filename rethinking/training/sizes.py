"""How much is worked on at once: as many nodes as keep a core busy, since more take memory and gain nothing.

What a step costs beside its arithmetic is the same for any number of nodes; it is small from some ten thousand on.
docs/design.md (Speed) has what was measured.
"""

import math

from torch import nn

from rethinking.data.dataset import GraphDataset
from rethinking.layers.copies import Copies

# Of all replicas together.
NODES = 2**16
# Replicas for which memory is reckoned where their number must change nothing: the paper's seeds.
WITH = 20


def replicas_at_once(dataset: GraphDataset, batch_size: int) -> int:
    """How many replicas train together at most. batch_size: graphs a step and replica."""
    return _at_once(dataset, batch_size)


def graphs_at_once(dataset: GraphDataset, replicas: int) -> int:
    """How many graphs of each replica are evaluated together."""
    return _at_once(dataset, replicas)


def evaluated_at_once(network: nn.Module, dataset: GraphDataset, replicas: int) -> int:
    """The same of a network: where modules are called for one replica at a time, as many whatever the replicas.

    What such a module draws when it is evaluated, as it may, follows from the batch; so it hangs on no other seed.
    """
    alone = any(isinstance(module, Copies) for module in network.modules())
    return graphs_at_once(dataset, WITH if alone else replicas)


def in_equal_parts(count: int, most: int) -> int:
    """How many of `count` go together so that no more than `most` do, and the last ones are not left alone."""
    return math.ceil(count / math.ceil(count / most))


def _at_once(dataset: GraphDataset, other: int) -> int:
    return max(1, round(NODES * len(dataset) / (len(dataset.x) * other)))
