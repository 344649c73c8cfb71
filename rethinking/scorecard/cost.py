"""What a pooling costs: time and memory of a step, and how they grow with the number of nodes."""

import ctypes
import gc
import math
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from rethinking.pooling.operators.interface import Graphs, Operator
from rethinking.scorecard.fit import seeded
from rethinking.scorecard.making import MakeOperator, make_operator
from rethinking.scorecard.point_clouds import sensor
from rethinking.scorecard.settings import CostSettings

PROCESS = Path("/proc/self")


@dataclass(frozen=True)
class Cost:
    """Of a graph with so many nodes.

    first: seconds of the first step, with what an operator finds once for a graph. seconds: the median of the others.
    memory: the most bytes that the first step had beside what was there before; NaN where the system does not say it.
    """

    nodes: int
    first: float
    seconds: float
    memory: float


def costs(make: MakeOperator, settings: CostSettings) -> list[Cost]:
    """Pool random points, each joined to its nearest ones, forward and backward, on the CPU."""
    found = []
    # The first graph twice, as what is imported or compiled late is not the operator's.
    for nodes in [settings.nodes[0], *settings.nodes]:
        cloud = sensor(nodes, settings.neighbours, settings.seed)
        with seeded(settings.seed, "cost", nodes):
            graphs = cloud.with_signals(torch.randn(nodes, settings.features))
            pool = make_operator(make, settings.features, settings.ratio, [nodes])
            before = _forget_peak()
            first = _step(pool, graphs)
            memory = _resident("VmHWM") - before
            found.append(Cost(nodes, first, median(_step(pool, graphs) for _ in range(settings.repeats)), memory))
    return found[1:]


def _step(pool: Operator, graphs: Graphs) -> float:
    """Seconds of a step whose gradient flows into features, edges and losses."""
    began = time.perf_counter()
    graphs = Graphs(
        graphs.x.clone().requires_grad_(), graphs.edge_index, graphs.edge_weight, graphs.batch, graphs.count
    )
    coarse = pool(graphs)
    total = coarse.graphs.x.square().sum() + coarse.graphs.weights.square().sum()
    sum(coarse.losses.values(), total).backward()
    return time.perf_counter() - began


def _forget_peak() -> float:
    """The bytes this process has in memory, from where on its peak is counted anew."""
    gc.collect()
    with suppress(OSError, AttributeError):
        # What the C library keeps for later would be used without being counted.
        ctypes.CDLL(None).malloc_trim(0)
        (PROCESS / "clear_refs").write_text("5")
        return _resident("VmRSS")
    return math.nan


def _resident(field: str) -> float:
    with suppress(OSError):
        found = re.search(rf"{field}:\s+(\d+) kB", (PROCESS / "status").read_text())
        return float(found[1]) * 1024 if found else math.nan
    return math.nan
