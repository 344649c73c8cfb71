"""Batch normalisation equals torch's over the nodes of a replica."""

import pytest
import torch
from torch_geometric.utils import to_dense_batch

from rethinking.graphs.levels import SetLevel, SparseLevel
from rethinking.graphs.topology import Topology
from rethinking.layers import norm as norms
from rethinking.layers.initial import initialise
from rethinking.layers.norm import BatchNorm
from tests.conftest import CPU, replica_batch
from tests.operators import alike, holds, is_sound

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


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_the_forms_are_alike(relu: bool, padded: bool) -> None:
    """Also where padding rows count, and where a replica has one node only."""
    nodes = torch.tensor([9, 4, 1])
    counted = torch.tensor([12, 12, 12]) if padded else nodes
    x, weight, bias, residual = (torch.randn(3, n, 4) for n in (9, 1, 1, 9))
    is_node = (torch.arange(9) < nodes[:, None])[..., None]
    options = (nodes, counted, 1e-5, relu)

    def ours(*values: torch.Tensor) -> torch.Tensor:
        return norms._Normalise.apply(*values, *options)[0] * is_node

    holds(ours, lambda *values: norms.plain_norm(*values, *options)[0] * is_node, [x, weight, bias, residual])
    x, weight, bias, residual = (value.double() for value in (x, weight, bias, residual))
    for added in (residual, None):
        alike(norms._compiled_norm, norms.plain_norm, (x, weight, bias, added, *options))
        is_sound("batch_norm", (x, weight, bias, added, *options))
    _, mean, var, _ = norms.plain_norm(x, weight, bias, None, *options)
    backward = (torch.randn_like(x), x, weight, mean, var, *options)
    alike(norms._compiled_norm_backward, norms.plain_norm_backward, backward)
    is_sound("batch_norm_backward", backward)


@pytest.mark.parametrize("training", [True, False])
def test_relu_before_and_a_residual_after(training: bool) -> None:
    """As the two written out, in training and in evaluation; the running statistics are those of ReLU(x)."""
    together, apart = BatchNorm(2, 4), BatchNorm(2, 4)
    for norm in (together, apart):
        initialise(norm, [0, 1])
        norm(torch.randn(2, 20, 4, generator=torch.Generator().manual_seed(3)), EVERY_ROW)
        norm.train(training)
    x, residual = torch.randn(2, 20, 4), torch.randn(2, 20, 4)
    ours = together(x, EVERY_ROW, relu_before=True, residual=residual)
    assert torch.allclose(ours, apart(x.relu(), EVERY_ROW) + residual, atol=1e-6)
    assert torch.allclose(together.running_var, apart.running_var, atol=1e-6)


def test_what_is_no_number_passes_relu() -> None:
    x = torch.full((2, 20, 4), torch.nan)
    norm = BatchNorm(2, 4)
    initialise(norm, [0, 1])
    assert norm(x, EVERY_ROW, relu_before=True).isnan().all()
