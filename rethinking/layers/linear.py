"""The linear layer with a replica axis."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rethinking.graphs.affine import affine
from rethinking.graphs.matrices import matmul
from rethinking.layers.initial import InitialDraw, ReplicaLayer


class Linear(ReplicaLayer):
    """x W + b, initialised as `torch.nn.Linear`. unit_length: every row of the result is scaled to length one."""

    def __init__(
        self, replicas: int, in_features: int, out_features: int, bias: bool = True, unit_length: bool = False
    ) -> None:
        super().__init__()
        self.unit_length = unit_length
        self.weight = nn.Parameter(torch.empty(replicas, in_features, out_features))
        self.bias = nn.Parameter(torch.empty(replicas, 1, out_features)) if bias else None

    def reset(self, draw: InitialDraw) -> None:
        """U(±1/√in) for weight and bias."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        draw.uniform(self.weight, "weight", bound)
        if self.bias is not None:
            draw.uniform(self.bias, "bias", bound)

    def forward(self, x: Tensor) -> Tensor:
        """x: [R, N, in]. Returns [R, N, out]."""
        if self.bias is None:
            x = matmul(x, self.weight)
            return F.normalize(x, dim=-1) if self.unit_length else x
        return affine(x, self.weight, self.bias, self.unit_length)
