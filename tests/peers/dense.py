"""Dense graphs as the DiffPool and MinCutPool families see them, and the SAGE convolution of PyG 1.4.3."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.utils import to_dense_adj

from rethinking.layers import convolutions
from tests.peers.peer import copy_each, copy_linear, copy_norm


def dense_adjacency(data: Batch, x: Tensor) -> Tensor:
    """A [B, n, n] of a batch, in the precision of x."""
    return to_dense_adj(data.edge_index, data.batch).to(x.dtype)


class DenseSAGEConv(nn.Module):
    """mean over neighbours · W + b; newer versions of PyG have a second weight for the node itself.

    add_loop: set the diagonal of A to one. normalize: scale every node's output to length one.
    """

    def __init__(self, in_features: int, out_features: int, add_loop: bool, normalize: bool) -> None:
        super().__init__()
        self.lin = nn.Linear(in_features, out_features)
        self.add_loop = add_loop
        self.normalize = normalize

    def forward(self, x: Tensor, adj: Tensor, mask: Tensor | None = None) -> Tensor:
        """x: [B, n, in]. adj: [B, n, n]. mask: bool [B, n]. Returns [B, n, out], zero where the mask is false."""
        if self.add_loop:
            adj = adj.clone()
            adj.diagonal(dim1=1, dim2=2).fill_(1)
        x = self.lin(adj @ x / adj.sum(dim=-1, keepdim=True).clamp(min=1))
        if self.normalize:
            x = F.normalize(x, dim=-1)
        return x if mask is None else x * mask[..., None]

    def copy(self, source: convolutions.SageConv, replica: int) -> None:
        """Take the weights of one replica of our layer."""
        copy_linear(self.lin, source.linear, replica)


class SageStack(nn.Module):
    """[H1 | H2 | H3], three SAGE convolutions; H1 and H2 after ReLU and batch normalisation."""

    def __init__(self, in_features: int, hidden: int, last: int) -> None:
        super().__init__()
        widths = [(in_features, hidden), (hidden, hidden), (hidden, last)]
        self.convs = nn.ModuleList(DenseSAGEConv(*width, add_loop=False, normalize=False) for width in widths)
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(2))

    def forward(self, x: Tensor, adj: Tensor, mask: Tensor | None = None) -> Tensor:
        """x: [B, n, in]. adj: [B, n, n]. mask: bool [B, n]. Returns [B, n, 2 · hidden + last]."""
        outputs = []
        for conv, norm in zip(self.convs[:-1], self.norms, strict=True):
            x = norm_nodes(norm, F.relu(conv(x, adj, mask)), mask)
            outputs.append(x)
        return torch.cat([*outputs, self.convs[-1](x, adj, mask)], dim=-1)

    def copy(self, source: convolutions.SageStack, replica: int) -> None:
        """Take the weights and running statistics of one replica of our layer."""
        copy_each(DenseSAGEConv.copy, self.convs, source.convs, replica)
        copy_each(copy_norm, self.norms, source.norms, replica)


def norm_nodes(norm: nn.Module, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """Batch normalisation over the nodes there are. x: [B, n, F]. mask: bool [B, n]. Returns [B, n, F]."""
    if mask is None:
        return norm(x.flatten(0, 1)).view_as(x)
    normalised = torch.zeros_like(x)
    normalised[mask] = norm(x[mask])
    return normalised
