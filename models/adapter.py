"""Lets a model that knows nothing of the replica axis train in a group, one replica after another.

For models of one's own, or of PyG: slower than a family written with the axis, but it shares splits,
schedules, the run store and the tables with them.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.listed import listed
from rethinking.layers.copies import Copies
from rethinking.models.family import Output
from rethinking.models.inputs import DataShape


class LoopOverReplicas(Copies):
    """R copies of an ordinary module `module(x, edge_index, batch) → [B, out]`, as PyG models are called.

    make: called as make(in_features=…, out_features=…, select=…); a Hydra target with `_partial_: true`.
    A module must draw its initial weights by torch's generator when it is made; what it draws later (dropout)
    follows from the graphs' streams too.
    """

    def __init__(self, replicas: int, shape: DataShape, select: Any, make: Callable[..., nn.Module]) -> None:
        sizes = {"in_features": shape.in_features, "out_features": shape.out_features}
        super().__init__(replicas, lambda: make(**sizes, select=select))

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out]; there are no auxiliary losses."""
        predictions = [
            self.call(replica, part.seed, x[replica, : part.nodes], part.edge_index, part.batch)
            for replica, part in enumerate(listed(level))
        ]
        return torch.stack(predictions), {}
