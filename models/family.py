"""What the engine and a family agree on, and what families share."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from rethinking.graphs.levels import SparseLevel
from rethinking.pooling.pool import Pooled

# What a network returns: predictions [R, B, out], and auxiliary losses by name, [R] each, weighted.
Output = tuple[Tensor, dict[str, Tensor]]


class Family(Protocol):
    """What the engine asks of a network, beside being an `nn.Module` with parameters [R, …]. See also `Phase`."""

    def __call__(self, x: Tensor, level: SparseLevel) -> Output:
        """x: [R, N, F]. level: the graphs of the batch. Returns predictions and auxiliary losses."""
        ...


@dataclass(frozen=True, eq=False)
class Phase:
    """A kind of training epoch. A network that has any but the supervised one says so in an attribute `phases`.

    moves: the parameters that learn; all others stay. period: every `period`-th epoch is of this phase; where that
    holds for several, the last one in the list has it, and one of them must have the period 1.
    losses: None for the supervised phase: one step a batch, on the task's loss and the network's auxiliary losses,
    with a rate that decays. Otherwise as losses(x, level) -> predictions and losses [R] by name, which add over
    batches: the epoch is one step on them over all training graphs, with moments of its own and a rate that stays;
    the network is as in evaluation, so that running statistics stay too.
    """

    name: str
    moves: Sequence[nn.Parameter]
    period: int = 1
    losses: Callable[[Tensor, SparseLevel], Output] | None = None


def phases_of(network: nn.Module) -> list[Phase]:
    """A network's phases: the supervised one, which moves everything, unless it has others.

    Raises ValueError for two of one name, or if there are epochs without a phase.
    """
    phases = list(getattr(network, "phases", None) or [Phase("supervised", list(network.parameters()))])
    if len({phase.name for phase in phases}) < len(phases) or 1 not in {phase.period for phase in phases}:
        said = ", ".join(f"{phase.name} every {phase.period}" for phase in phases)
        raise ValueError(f"the phases of a network need names of their own and one the period 1; got {said}")
    return phases


def at_least_one(**values: int | Sequence[int]) -> None:
    """Raises ValueError if one of some numbers, or of a list of them, is below 1, or a list is empty."""
    wrong = {
        name: value
        for name, value in values.items()
        if (value < 1 if isinstance(value, int) else not value or min(value) < 1)
    }
    if wrong:
        raise ValueError(", ".join(f"{name}={value}" for name, value in wrong.items()) + "; expected at least 1 each")


def a_share(ratio: float) -> None:
    """Raises ValueError for a ratio of nodes to keep that keeps none or all."""
    if not 0 < ratio < 1:
        raise ValueError(f"ratio={ratio}; expected a share of the nodes, above 0 and below 1")


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
