"""The least time that a training step can take: its necessary products, at the rate at which this core multiplies.

The products of a graph are counted in the plain torch forms, forward and backward, graph by graph: so there is no
padding among them. Sums over neighbours, softmax, batch norm and the like are left out; they are no products. A first
convolution of one-hot features counts as the product that it is, though looking them up is less.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from rethinking.configuration.cell import Cell
from rethinking.data.batches import Batches
from rethinking.data.dataset import GraphDataset
from rethinking.layers.initial import initialise
from rethinking.models.family import phases_of
from rethinking.operators import plain_form
from rethinking.tasks.task import Task
from scripts.machine import seconds

REPEATS, AT_LEAST = 30, 0.003  # measurements of the rate, and seconds of each


@dataclass(frozen=True)
class Products:
    """The products of one graph's share in a step.

    flops: two for each multiplication with its addition. widths: the two sides, nodes aside, of those matrices that
    most flops are spent on.
    """

    flops: float
    widths: tuple[int, int]


def products_of(cell: Cell, dataset: GraphDataset, graphs: Sequence[int] | np.ndarray) -> Products:
    """The mean over some graphs."""
    task = cell.task()
    network = cell.build(dataset, task)(1)
    initialise(network, [0])
    moved = {parameter for phase in phases_of(network) if phase.losses is None for parameter in phase.moves}
    for parameter in network.parameters():
        parameter.requires_grad_(parameter in moved)
    batches = Batches(replace(dataset, y=task.targets(dataset)), torch.device("cpu"))
    flops: Counter[tuple[int, int]] = Counter()
    for graph in graphs:
        with Counting(int(dataset.sizes[graph])) as counted:
            _step(network, task, batches, graph)
        flops += counted.flops
    ((widths, _),) = flops.most_common(1)
    return Products(sum(flops.values()) / len(graphs), widths)


def rate(rows: int, widths: tuple[int, int]) -> float:
    """Flops a second of one thread on a product of that many rows, where nothing comes between."""
    a, b = torch.randn(rows, widths[0]), torch.randn(widths)
    out = torch.empty(rows, widths[1])
    often = max(1, math.ceil(AT_LEAST / max(seconds(lambda: torch.mm(a, b, out=out)), 1e-7)))

    def multiply() -> None:
        for _ in range(often):
            torch.mm(a, b, out=out)

    return 2 * rows * widths[0] * widths[1] * often / min(seconds(multiply) for _ in range(REPEATS))


def _step(network: nn.Module, task: Task, batches: Batches, graph: int) -> None:
    batch = batches.batch(np.array([[graph]]), np.zeros(1, np.uint64))
    prediction, losses = network(batch.x, batch.level)
    sum(losses.values(), task.loss(prediction, batch.y)).sum().backward()


class Counting(TorchDispatchMode):
    """Counts the flops of all products by the widths of their matrices, also within the project's operators."""

    def __init__(self, nodes: int) -> None:
        super().__init__()
        self.nodes = nodes
        self.flops: Counter[tuple[int, int]] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # What is made of other operators is counted by them: the project's own, and some of torch's.
        with self:
            made = (plain_form(func) or func.decompose)(*args, **(kwargs or {}))
        if made is not NotImplemented:
            return made
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            first, second = [value for value in args if isinstance(value, Tensor)][-2:]
            sides = [first.shape[-2], first.shape[-1], second.shape[-1]]
            if self.nodes in sides:
                sides.remove(self.nodes)
            widths = sorted(sides)[-2:]
            self.flops[widths[0], widths[1]] += formula(*args, **(kwargs or {}), out_val=out)
        return out
