"""Layers draw their initial values here: one named random stream a parameter, so equal-named layers start equal.

Parameters are `[R, …]`, node features `[R, N, F]`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.randomness import stream, stream_key


@dataclass(frozen=True)
class InitialDraw:
    """The `init` streams of R seeds, for the layer that lies at `prefix` in the model."""

    seeds: Sequence[int]
    prefix: str

    def uniform(self, parameter: Tensor, name: str, bound: float, low: float | None = None) -> None:
        """Fill `parameter` [R, …], of that name, with U(−bound, bound), or with U(low, bound)."""
        for replica, seed in enumerate(self.seeds):
            generator = stream(seed, "init", f"{self.prefix}.{name}")
            values = generator.uniform(-bound if low is None else low, bound, parameter.shape[1:])
            with torch.no_grad():
                parameter[replica] = torch.from_numpy(values)

    @torch.no_grad()
    def normal(self, parameter: Tensor, name: str) -> None:
        """Fill `parameter` [R, …], of that name, with N(0, 1)."""
        for replica, seed in enumerate(self.seeds):
            values = stream(seed, "init", f"{self.prefix}.{name}").normal(size=parameter.shape[1:])
            parameter[replica] = torch.from_numpy(values)

    def assignment_streams(self) -> list[np.random.Generator]:
        """The `assignment` stream of each replica, for what is drawn once and not trained."""
        return [stream(seed, "assignment", self.prefix) for seed in self.seeds]

    def assignment_keys(self) -> Tensor:
        """A key for each replica from its `assignment` stream, int64 [R], for what derives its draws from keys."""
        return torch.tensor([int(generator.integers(2**62)) for generator in self.assignment_streams()])

    def torch_seeds(self) -> list[int]:
        """A seed for each replica, for layers that draw by torch's own generator."""
        return [stream_key(seed, "init", self.prefix) >> 1 for seed in self.seeds]


class ReplicaLayer(nn.Module):
    """A layer with parameters of its own, all [R, …], as are its buffers; `initialise` calls its `reset`."""

    def reset(self, draw: InitialDraw) -> None:
        """Draw the initial value of every parameter of this layer."""
        raise NotImplementedError


def initialise(model: nn.Module, seeds: Sequence[int]) -> None:
    """Draw every parameter of `model` from the `init` streams of the seeds, one stream a parameter name.

    Raises ValueError for a parameter or buffer without the replica axis, or a parameter that no layer draws.
    """
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        if value.dim() == 0 or len(value) != len(seeds):
            raise ValueError(f"{name} has the shape {list(value.shape)}; expected the replica axis first, {len(seeds)}")
    for parameter in model.parameters():
        nn.init.constant_(parameter, math.nan)
    for prefix, layer in model.named_modules():
        if isinstance(layer, ReplicaLayer):
            layer.reset(InitialDraw(seeds, prefix))
    for name, parameter in model.named_parameters():
        if parameter.isnan().any():
            raise ValueError(f"{name} has no initial value: the `reset` of its layer does not draw it")
