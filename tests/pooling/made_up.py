"""Operators and a pooling layer that tests make up, of which one knows what they do."""

from typing import Any

import numpy as np
import torch
from torch import nn

from rethinking.layers.initial import initialise
from rethinking.pooling.foreign import ForeignPool
from rethinking.pooling.operators.identity import sums
from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, Operator
from rethinking.pooling.twins import Twin

KEYS = np.array([5, 6, 7, 8], np.uint64)


class Soft(Operator):
    """S = softmax(X W + b) with a loss, as MinCutPool's Select."""

    def __init__(self, in_features: int, clusters: int, **sizes: Any) -> None:
        super().__init__()
        self.clusters = clusters
        self.scores = nn.Linear(in_features, clusters)

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        losses = {}
        if given is None:
            s = self.scores(graphs.x).softmax(-1)
            node = torch.arange(len(s)).repeat_interleave(self.clusters)
            cluster = graphs.batch[:, None] * self.clusters + torch.arange(self.clusters)
            batch = torch.arange(graphs.count).repeat_interleave(self.clusters)
            given = Assignment(node, cluster.flatten(), s.flatten(), batch, len(s))
            losses = {"certainty": -s.square().mean()}
        coarse = sums(graphs, given)
        return Coarse(coarse.graphs, given, losses)


class FirstHalf(Operator):
    """The first half of each graph's nodes; it does not say so if `silent`."""

    def __init__(self, silent: bool = False, **sizes: Any) -> None:
        super().__init__()
        self.says_assignment = not silent
        self.anchor = nn.Parameter(torch.zeros(1))

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        if given is None:
            place = torch.cat([torch.arange(int(size)) for size in graphs.sizes])
            kept = (place < (graphs.sizes[graphs.batch] + 1) // 2).nonzero().squeeze(-1)
            weight = torch.ones(len(kept)) + self.anchor
            given = Assignment(kept, torch.arange(len(kept)), weight, graphs.batch[kept], len(graphs.x))
        coarse = sums(graphs, given)
        return Coarse(coarse.graphs, given if self.says_assignment else None)


def make_pool(operator: Any, twin: Twin | None, seeds: list[int]) -> ForeignPool:
    pool = ForeignPool(len(seeds), 3, 12, 2, 0.5, operator, twin)
    initialise(pool, seeds)
    return pool
