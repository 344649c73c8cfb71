"""The linear layer with a replica axis."""

import math

import torch
from torch import Tensor, nn

from rethinking.graphs.affine import affine
from rethinking.graphs.matrices import matmul
from rethinking.layers.initial import InitialDraw, ReplicaLayer


class Linear(ReplicaLayer):
    """x W + b, initialised as `torch.nn.Linear`."""

    def __init__(self, replicas: int, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
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
        return matmul(x, self.weight) if self.bias is None else affine(x, self.weight, self.bias)


class GlorotLinear(Linear):
    """x W + b, initialised as Keras's `Dense` (Glorot and Bengio 2010)."""

    def reset(self, draw: InitialDraw) -> None:
        """U(±√(6/(in + out))) for the weight, zeros for the bias."""
        draw.uniform(self.weight, "weight", math.sqrt(6 / sum(self.weight.shape[1:])))
        if self.bias is not None:
            nn.init.zeros_(self.bias)
