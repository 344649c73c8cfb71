"""What all peers have in common, and how the weights of one of our replicas get into PyG's layers."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import DenseGraphConv, GraphConv

from rethinking.layers import convolutions, linear, norm

# Predictions [B, out], and auxiliary losses by name, weighted.
Output = tuple[Tensor, dict[str, Tensor]]


class Peer(nn.Module):
    """A family for one seed, on PyG's batches; `forward(data)` returns an `Output`."""

    def predict(self, data: Batch) -> Output:
        """The predictions and losses of one training step."""
        return self(data)

    def taught(self) -> list[nn.Parameter]:
        """Parameters that ordinary epochs leave alone, because they learn in epochs of their own (GMN)."""
        return []

    def copy(self, network: Any, replica: int) -> None:
        """Take the weights and running statistics of one replica of our network of the same family."""
        raise NotImplementedError


def copy_each(
    copy: Callable[[Any, Any, int], None], targets: Iterable[nn.Module], sources: Iterable[Any], replica: int
) -> None:
    """`copy` for every layer of a list."""
    for target, source in zip(targets, sources, strict=True):
        copy(target, source, replica)


@torch.no_grad()
def copy_linear(target: nn.Linear, source: linear.Linear, replica: int) -> None:
    """x W + b. PyG and torch keep W transposed."""
    assert source.bias is not None, "no peer has a linear layer without one"
    target.weight.copy_(source.weight[replica].T)
    target.bias.copy_(source.bias[replica, 0])


@torch.no_grad()
def copy_graph_conv(target: GraphConv | DenseGraphConv, source: convolutions.GraphConv, replica: int) -> None:
    """X W1 + A X W2 + b; ours holds W1 above W2."""
    own, neighbours = source.weight[replica].split(source.in_features)
    target.lin_root.weight.copy_(own.T)
    target.lin_rel.weight.copy_(neighbours.T)
    target.lin_rel.bias.copy_(source.bias[replica, 0])


@torch.no_grad()
def copy_norm(target: nn.BatchNorm1d, source: norm.BatchNorm, replica: int) -> None:
    """Batch normalisation, with its running statistics."""
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(target, name).copy_(getattr(source, name)[replica, 0])
