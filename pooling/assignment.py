"""Selects of the kind `assignment`: S, a soft assignment of every node to k clusters.

A family makes one Select for each of its pooling layers, as
`select(replicas=…, in_features=…, max_nodes=…, clusters=…)`.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from rethinking.models.layers import InitialDraw, Linear, ReplicaLayer, SageConv
from rethinking.pooling.levels import Level


class Assignment(ReplicaLayer):
    """is_trainable: whether it has weights; only then do a family's auxiliary losses apply."""

    is_local: bool
    is_trainable: bool

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """x: [R, N, F]. Returns S [R, N, k], rows summing to one."""
        raise NotImplementedError


class MakeAssignment(Protocol):
    """What a family is given: makes the Select of one pooling layer."""

    def __call__(self, replicas: int, in_features: int, max_nodes: int, clusters: int) -> Assignment:
        """in_features: width of x. max_nodes: of the largest graph at this level."""
        ...


class LinearAssignment(Assignment):
    """S = softmax(X W + b), MinCutPool's own (Bianchi et al. 2020)."""

    is_local = True
    is_trainable = True

    def __init__(self, replicas: int, in_features: int, max_nodes: int, clusters: int) -> None:
        super().__init__()
        self.scores = Linear(replicas, in_features, clusters)

    def reset(self, draw: InitialDraw) -> None:
        """Nothing of its own: the linear layer draws its weights."""

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """See `Assignment`."""
        return self.scores(x).softmax(dim=-1)


class SageAssignment(Assignment):
    """S = softmax(GNN(A, X)) with one SAGE convolution, DiffPool's own (Eq. 4)."""

    is_local = True
    is_trainable = True

    def __init__(self, replicas: int, in_features: int, max_nodes: int, clusters: int) -> None:
        super().__init__()
        self.scores = SageConv(replicas, in_features, clusters)

    def reset(self, draw: InitialDraw) -> None:
        """Nothing of its own: the convolution draws its weights."""

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """See `Assignment`."""
        return self.scores(x, level).softmax(dim=-1)


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


class RandomAssignment(Assignment):
    """S = softmax(S̃), with S̃ drawn once before training and never changed (Eq. 6).

    S̃ is [max_nodes, k], row i for the i-th node of a graph; it depends on how nodes are numbered.
    With `invariant`, S̃ = X S̃' with S̃' [in_features, k] random and X detached (Remark 1), which does not.
    S̃ (or S̃') is a buffer, so it is saved with the model.
    """

    is_local = False
    is_trainable = False

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

    def forward(self, x: Tensor, level: Level) -> Tensor:
        """See `Assignment`."""
        if self.invariant:
            return torch.bmm(x.detach(), self.random).softmax(dim=-1)
        assignment = self.random.softmax(dim=-1)
        position = level.position[..., None].expand(-1, -1, assignment.shape[-1])
        return assignment.gather(1, position)
