"""The random soft Selects: S drawn once before training (Eq. 6, Remark 1)."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from rethinking.graphs.levels import NodeSets
from rethinking.layers.initial import InitialDraw
from rethinking.layers.rows import softmax
from rethinking.pooling.select import Select
from rethinking.pooling.selection import SoftSelection


class Distribution(Protocol):
    """Draws independent numbers."""

    def __call__(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Returns an array of that shape."""
        ...


@dataclass(frozen=True)
class Uniform:
    """U(low, high)."""

    low: float
    high: float

    def __call__(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """See `Distribution`."""
        return generator.uniform(self.low, self.high, shape)


@dataclass(frozen=True)
class Normal:
    """N(mean, std²)."""

    mean: float
    std: float

    def __call__(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """See `Distribution`."""
        return generator.normal(self.mean, self.std, shape)


@dataclass(frozen=True)
class Bernoulli:
    """1 with the given probability, else 0."""

    probability: float

    def __call__(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """See `Distribution`."""
        return (generator.random(shape) < self.probability).astype(float)


@dataclass(frozen=True)
class Categorical:
    """1 in one column of each row, drawn uniformly, else 0 (the released code only)."""

    def __call__(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """See `Distribution`. shape: (rows, columns)."""
        rows, columns = shape
        return np.eye(columns)[generator.integers(columns, size=rows)]


class RandomAssignment(Select):
    """S = softmax(S̃), with S̃ drawn once before training and never changed (Eq. 6).

    S̃ is [max_nodes, k], row i for the i-th node of a graph; it depends on how nodes are numbered.
    With `invariant`, S̃ = X S̃' with S̃' [in_features, k] random and X detached (Remark 1), which does not.
    S̃ (or S̃') is a buffer, so it is saved with the model.
    """

    is_local = False
    has_loss = False

    def __init__(
        self,
        replicas: int,
        in_features: int,
        max_nodes: int,
        clusters: int,
        distribution: Distribution,
        invariant: bool,
    ) -> None:
        super().__init__()
        self.distribution = distribution
        self.invariant = invariant
        rows = in_features if invariant else max_nodes
        self.random: Tensor
        self.register_buffer("random", torch.empty(replicas, rows, clusters))

    def reset(self, draw: InitialDraw) -> None:
        """Each replica's numbers from its `assignment` stream."""
        shape = tuple(self.random.shape[1:])
        for replica, generator in enumerate(draw.assignment_streams()):
            self.random[replica] = torch.from_numpy(self.distribution(generator, shape))

    def forward(self, x: Tensor, level: NodeSets) -> SoftSelection:
        """See `Select`."""
        if self.invariant:
            return SoftSelection(softmax(torch.bmm(x.detach(), self.random)), level)
        assignment = self.random.softmax(dim=-1)
        position = level.position[..., None].expand(-1, -1, assignment.shape[-1])
        return SoftSelection(assignment.gather(1, position), level)
