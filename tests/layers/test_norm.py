"""Batch normalisation equals torch's over the nodes of a replica."""

import pytest
import torch
from torch_geometric.utils import to_dense_batch

from rethinking.graphs.levels import SetLevel, SparseLevel
from rethinking.graphs.topology import Topology
from rethinking.layers.initial import initialise
from rethinking.layers.norm import BatchNorm
from tests.conftest import CPU, replica_batch

EVERY_ROW = SetLevel(2, 1, 20, CPU)


def test_batch_normalisation_equals_torchs() -> None:
    ours = BatchNorm(2, 4)
    initialise(ours, [0, 1])
    peers = [torch.nn.BatchNorm1d(4) for _ in range(2)]
    for _ in range(3):
        x = 3 * torch.randn(2, 20, 4) + 1
        normalised = ours(x, EVERY_ROW)
        for replica, peer in enumerate(peers):
            assert torch.allclose(normalised[replica], peer(x[replica]), atol=1e-5)
    ours.eval()
    x = torch.randn(2, 20, 4)
    for replica, peer in enumerate(peers):
        assert torch.allclose(ours(x, EVERY_ROW)[replica], peer.eval()(x[replica]), atol=1e-5)


@pytest.mark.parametrize("counts_padding", [False, True])
def test_batch_normalisation_sees_valid_nodes_or_as_released_zeros_too(
    topology: Topology, counts_padding: bool
) -> None:
    level = SparseLevel(topology, CPU)
    norm = BatchNorm(3, 4, counts_padding)
    initialise(norm, [0, 1, 2])
    x = 3 * torch.randn(3, topology.width, 4) + 1
    normalised = norm(x, level)
    for replica in range(3):
        rows, _, batch = replica_batch(topology, replica)
        padded, mask = to_dense_batch(x[replica, rows], batch)
        peer = torch.nn.BatchNorm1d(4)
        expected = peer(padded.flatten(0, 1))[mask.flatten()] if counts_padding else peer(x[replica, rows])
        assert torch.allclose(normalised[replica, rows], expected, atol=1e-5)
        assert torch.allclose(norm.running_mean[replica, 0], peer.running_mean, atol=1e-6)
        assert torch.allclose(norm.running_var[replica, 0], peer.running_var, atol=1e-5)
