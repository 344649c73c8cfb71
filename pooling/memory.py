"""Selects that compare nodes with keys: GMN's memory layer (Khasahmadi et al. 2020), and distance to fixed keys."""

import math

import torch
from torch import Tensor, nn

from rethinking.graphs.levels import NodeSets
from rethinking.layers.initial import InitialDraw, ReplicaLayer
from rethinking.layers.rows import softmax
from rethinking.pooling.near import nearness, squared_distance
from rethinking.pooling.normalise import TINY
from rethinking.pooling.select import Select
from rethinking.pooling.selection import SoftSelection


class MemoryAssignment(Select):
    """GMN's own: S = softmax(Σ_h w_h C_h), C_h ∝ (1 + ‖q − key‖²/τ)^{−(τ+1)/2}, its rows summing to one (τ = 1).

    Nodes belong to the nearest keys. With one head S = softmax(C), without w. The keys are taught by the
    Kullback–Leibler loss of `rethinking.models.gmn`; they are U(0, 1) at first, as in the released code.
    """

    is_local = True
    has_loss = True

    def __init__(self, replicas: int, in_features: int, max_nodes: int, clusters: int, heads: int) -> None:
        super().__init__()
        self.keys = nn.Parameter(torch.empty(replicas, heads * clusters, in_features))
        self.combine = CombineHeads(replicas, heads)

    @property
    def taught(self) -> list[nn.Parameter]:
        """The keys."""
        return [self.keys]

    def reset(self, draw: InitialDraw) -> None:
        """Keys: U(0, 1)."""
        draw.uniform(self.keys, "keys", bound=1.0, low=0.0)

    def forward(self, x: Tensor, level: NodeSets) -> SoftSelection:
        """See `Select`. x: the queries."""
        return SoftSelection(softmax(nearness(x, self.keys, self.combine.weights(x))), level)


class DistanceAssignment(Select):
    """S = softmax(Σ_h w_h ‖q − key‖), with keys drawn U(low, high) once and never changed.

    Nodes belong to the *farthest* keys: a Select without any notion of nearness (the paper, Section 2.4). The keys
    are buffers, so they are saved with the model. With one head S = softmax(‖q − key‖), without w.
    """

    is_local = False
    has_loss = False

    def __init__(
        self, replicas: int, in_features: int, max_nodes: int, clusters: int, heads: int, low: float, high: float
    ) -> None:
        super().__init__()
        self.low, self.high = low, high
        self.keys: Tensor
        self.register_buffer("keys", torch.empty(replicas, heads * clusters, in_features))
        self.combine = CombineHeads(replicas, heads)

    def reset(self, draw: InitialDraw) -> None:
        """Each replica's keys from its `assignment` stream."""
        for replica, generator in enumerate(draw.assignment_streams()):
            self.keys[replica] = torch.from_numpy(generator.uniform(self.low, self.high, self.keys.shape[1:]))

    def forward(self, x: Tensor, level: NodeSets) -> SoftSelection:
        """See `Select`."""
        # Not from zero, where the root has no gradient.
        distance = squared_distance(x, self.keys).clamp(min=TINY).sqrt()
        return SoftSelection(softmax(self.combine(distance)), level)


class CombineHeads(ReplicaLayer):
    """Σ_h w_h C_h: a 1 × 1 convolution over the heads, without bias. With one head there is no weight."""

    def __init__(self, replicas: int, heads: int) -> None:
        super().__init__()
        if heads < 1:
            raise ValueError(f"heads={heads}; expected at least 1")
        self.heads = heads
        self.weight = nn.Parameter(torch.empty(replicas, 1, heads, 1)) if heads > 1 else None

    def reset(self, draw: InitialDraw) -> None:
        """U(±1/√heads), as torch's convolutions."""
        if self.weight is not None:
            draw.uniform(self.weight, "weight", 1 / math.sqrt(self.heads))

    def weights(self, x: Tensor) -> Tensor:
        """w, [R, H]; where there is a single head, ones for the replicas of x: [R, …]."""
        return x.new_ones(len(x), 1) if self.weight is None else self.weight.flatten(1)

    def forward(self, scores: Tensor) -> Tensor:
        """scores: [R, N, H·k]. Returns [R, N, k]."""
        return scores if self.weight is None else (scores.unflatten(-1, (self.heads, -1)) * self.weight).sum(dim=2)
