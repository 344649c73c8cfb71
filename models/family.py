"""What the engine and a family agree on, and what families share."""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor

from rethinking.graphs.levels import SparseLevel
from rethinking.pooling.pool import Pooled

# What a network returns: predictions [R, B, out], and auxiliary losses by name, [R] each, weighted.
Output = tuple[Tensor, dict[str, Tensor]]


class Family(Protocol):
    """What the engine asks of a network, beside being an `nn.Module` with parameters [R, …]."""

    def __call__(self, x: Tensor, level: SparseLevel) -> Output:
        """x: [R, N, F]. level: the graphs of the batch. Returns predictions and auxiliary losses."""
        ...


def at_least_one(**values: int | Sequence[int]) -> None:
    """Raises ValueError if one of some numbers, or of a list of them, is below 1, or a list is empty."""
    wrong = {
        name: value
        for name, value in values.items()
        if (value < 1 if isinstance(value, int) else not value or min(value) < 1)
    }
    if wrong:
        raise ValueError(", ".join(f"{name}={value}" for name, value in wrong.items()) + "; expected at least 1 each")


def shrinking(max_nodes: int, ratio: float, pools: int) -> list[tuple[int, int]]:
    """The most nodes of a graph before each pooling layer, and its clusters: ceil(ratio · nodes before it).

    Raises ValueError for a ratio outside of (0, 1].
    """
    if not 0 < ratio <= 1:
        raise ValueError(f"ratio={ratio}; expected a ratio in (0, 1]")
    sizes = []
    for _ in range(pools):
        clusters = math.ceil(ratio * max_nodes)
        sizes.append((max_nodes, clusters))
        max_nodes = clusters
    return sizes


def weighted_losses(layers: Sequence[Pooled], weights: Mapping[str, float]) -> dict[str, Tensor]:
    """The losses of some pooling layers, each the sum over the layers that have it by its weight."""
    losses: dict[str, Tensor] = {}
    for layer in layers:
        for name, loss in layer.losses.items():
            weighted = weights[name] * loss
            losses[name] = losses[name] + weighted if name in losses else weighted
    return losses
