"""Lets a model that knows nothing of the replica axis train in a group, one replica after another.

For models of one's own, or of PyG: slower than a family written with the axis, but it shares splits,
schedules, the run store and the tables with them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.topology import Topology
from rethinking.layers.initial import InitialDraw, ReplicaLayer
from rethinking.models.family import Output
from rethinking.models.inputs import DataShape


class LoopOverReplicas(ReplicaLayer):
    """R copies of an ordinary module `module(x, edge_index, batch) → [B, out]`, as PyG models are called.

    make: called as make(in_features=…, out_features=…, select=…); a Hydra target with `_partial_: true`.
    A module must draw its initial weights by torch's generator when it is made; what it draws later (dropout)
    follows from the graphs' streams too.
    """

    def __init__(self, replicas: int, shape: DataShape, select: Any, make: Callable[..., nn.Module]) -> None:
        super().__init__()
        self._make = lambda: make(in_features=shape.in_features, out_features=shape.out_features, select=select)
        # In a list, so that it is not a submodule: it lends its form, the weights are ours.
        self._template = [self._make()]
        for name, value in self._template[0].named_parameters():
            self.register_parameter(_flat(name), nn.Parameter(value.detach().repeat(replicas, *[1] * value.dim())))
        for name, buffer in self._template[0].named_buffers():
            self.register_buffer(_flat(name), buffer.detach().repeat(replicas, *[1] * buffer.dim()))

    @torch.no_grad()
    def reset(self, draw: InitialDraw) -> None:
        """Each replica as the module is made under its own seed."""
        for replica, seed in enumerate(draw.torch_seeds()):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                module = self._make()
            for name, value in _state(module):
                self.get_parameter_or_buffer(name)[replica] = value

    def get_parameter_or_buffer(self, name: str) -> Tensor:
        """The stacked values [R, …] of the module's parameter or buffer of that name."""
        return getattr(self, _flat(name))

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out]; there are no auxiliary losses."""
        (template,) = self._template
        # What each replica's module draws in this step.
        seeds = [int(key) >> 1 for key in level.keys.reshape(level.replicas, -1)[:, 0]]
        template.train(self.training)
        names = [name for name, _ in _state(template)]
        predictions = []
        for replica, (nodes, edge_index, batch) in enumerate(_parts(level.topology)):
            state = {name: self.get_parameter_or_buffer(name)[replica] for name in names}
            inputs = (x[replica, :nodes], edge_index.to(x.device), batch.to(x.device))
            with torch.random.fork_rng():
                torch.manual_seed(seeds[replica])
                predictions.append(functional_call(template, state, inputs))
        return torch.stack(predictions), {}


def _flat(name: str) -> str:
    return name.replace(".", "__")


def _state(module: nn.Module) -> Sequence[tuple[str, Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]


def _parts(topology: Topology) -> list[tuple[int, Tensor, Tensor]]:
    """(number of nodes, edge_index [2, E], batch [nodes]) of every replica, as PyG numbers them."""
    parts = []
    sizes = topology.size.reshape(topology.replicas, -1)
    bounds = np.searchsorted(topology.edge_index[1], np.arange(topology.replicas + 1) * topology.width)
    for replica, size in enumerate(sizes):
        edges = topology.edge_index[:, bounds[replica] : bounds[replica + 1]] - replica * topology.width
        batch = np.repeat(np.arange(len(size)), size)
        parts.append((int(size.sum()), torch.from_numpy(edges), torch.from_numpy(batch)))
    return parts
