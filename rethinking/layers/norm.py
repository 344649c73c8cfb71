"""Batch normalisation with a replica axis."""

import torch
from torch import Tensor, nn

from rethinking.graphs.levels import NodeSets
from rethinking.layers.initial import InitialDraw, ReplicaLayer


class BatchNorm(ReplicaLayer):
    """Batch normalisation of every replica by its own statistics, as `torch.nn.BatchNorm1d` over its nodes.

    counts_padding: as the released code, count rows of zeros by which all graphs of a batch are as large as its
    largest, so that the statistics depend on that (fidelity ledger, row 13).
    """

    momentum = 0.1
    eps = 1e-5

    def __init__(self, replicas: int, features: int, counts_padding: bool = False) -> None:
        super().__init__()
        self.counts_padding = counts_padding
        self.weight = nn.Parameter(torch.empty(replicas, 1, features))
        self.bias = nn.Parameter(torch.empty(replicas, 1, features))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(replicas, 1, features))
        self.register_buffer("running_var", torch.ones(replicas, 1, features))

    @torch.no_grad()
    def reset(self, draw: InitialDraw) -> None:
        """The identity, and the statistics of standardised features."""
        self.weight.fill_(1)
        self.bias.zero_()
        self.running_mean.zero_()
        self.running_var.fill_(1)

    def forward(self, x: Tensor, level: NodeSets) -> Tensor:
        """x: [R, N, F]. Returns [R, N, F]; undefined in padding rows."""
        mean, var = self.running_mean, self.running_var
        if self.training:
            count, mean, var = self._statistics(x, level)
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(var * (count / (count - 1).clamp(min=1)), self.momentum)
        return (x - mean) * (self.weight * (var + self.eps).rsqrt()) + self.bias

    def _statistics(self, x: Tensor, level: NodeSets) -> tuple[Tensor, Tensor, Tensor]:
        """How many rows count, their mean and their variance; [R, 1, 1], [R, 1, F] and [R, 1, F]."""
        if level.present is None:
            var, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
            return torch.full_like(mean[..., :1], x.shape[1]), mean, var
        nodes = level.sizes.sum(dim=1).to(x.dtype)[:, None, None]
        count = nodes
        if self.counts_padding:
            count = (level.graphs * level.sizes.amax(dim=1)).to(x.dtype)[:, None, None]
        mean = (x * level.present).sum(dim=1, keepdim=True) / count
        squares = ((x - mean) * level.present).square().sum(dim=1, keepdim=True)
        return count, mean, (squares + (count - nodes) * mean.square()) / count
