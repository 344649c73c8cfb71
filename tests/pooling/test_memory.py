"""GMN's memory layer equals PyG's; its loss too; distance goes to the farthest key."""

import pytest
import torch
from torch_geometric.nn import MemPooling
from torch_geometric.utils import to_dense_batch

from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.topology import Topology
from rethinking.layers.initial import initialise
from rethinking.pooling.losses import kl_loss
from rethinking.pooling.memory import DistanceAssignment, MemoryAssignment
from rethinking.pooling.reduce import SumReduce
from rethinking.pooling.selection import SoftSelection
from tests.conftest import CPU, replica_batch

HEADS, KEYS = 3, 4


def test_equals_pygs_memory_pooling(topology: Topology) -> None:
    """The assignment, the clusters' features before the linear layer, and the loss with its gradient."""
    level = SparseLevel(topology, CPU)
    select = MemoryAssignment(3, 5, 12, KEYS, HEADS).double()
    initialise(select, [0, 1, 2])
    x = torch.randn(3, topology.width, 5, dtype=torch.double)
    selection = select(x, level)
    assignment = selection.assignment
    pooled = SumReduce()(x, selection).unflatten(1, (level.graphs, -1))
    losses = kl_loss(selection)
    (gradients,) = torch.autograd.grad(losses.sum(), select.keys)
    for replica in range(3):
        rows, _, batch = replica_batch(topology, replica)
        peer = MemPooling(5, 5, HEADS, KEYS).double()
        with torch.no_grad():
            peer.k.copy_(select.keys[replica].view(HEADS, KEYS, 5))
            peer.conv.weight.copy_(select.combine.weight[replica].view(1, HEADS, 1, 1))
            peer.lin.weight.copy_(torch.eye(5))
        expected, expected_assignment = peer(x[replica, rows], batch)
        _, mask = to_dense_batch(x[replica, rows], batch)
        assert torch.allclose(assignment[replica, rows], expected_assignment[mask])
        assert torch.allclose(pooled[replica], expected)
        # PyG's is the mean over graphs.
        loss = peer.kl_loss(expected_assignment) * level.graphs
        assert torch.allclose(losses[replica], loss, atol=1e-8)
        (expected_gradient,) = torch.autograd.grad(loss, peer.k)
        assert torch.allclose(gradients[replica].view(HEADS, KEYS, 5), expected_gradient, atol=1e-7)


def test_the_loss_does_not_see_what_stands_in_padding(topology: Topology) -> None:
    level = SparseLevel(topology, CPU)
    s = torch.rand(3, topology.width, KEYS)
    assert not level.present.all()
    spoilt = s.masked_fill(~level.present, float("nan")).requires_grad_()
    losses = kl_loss(SoftSelection(spoilt, level))
    assert torch.allclose(losses, kl_loss(SoftSelection(s, level)))
    (gradient,) = torch.autograd.grad(losses.sum(), spoilt)
    assert torch.isfinite(gradient).all() and not gradient.masked_select(~level.present).any()


@pytest.mark.parametrize("heads", [1, HEADS])
def test_rows_sum_to_one_and_distance_prefers_the_farthest_key(topology: Topology, heads: int) -> None:
    level = SparseLevel(topology, CPU)
    x = torch.randn(3, topology.width, 5)
    for select in (MemoryAssignment(3, 5, 12, KEYS, heads), DistanceAssignment(3, 5, 12, KEYS, heads, 0.0, 10.0)):
        initialise(select, [0, 1, 2])
        assignment = select(x, level).assignment
        assert torch.allclose(assignment.sum(dim=-1), torch.ones(3, topology.width))
        assert (select.combine.weight is None) == (heads == 1)
    distance = torch.cdist(x, select.keys)
    if heads == 1:
        assert torch.equal(assignment.argmax(dim=-1), distance.argmax(dim=-1))
    of_heads = distance.split(KEYS, dim=-1)  # The keys of a head stand together.
    combined = sum(w[:, None, None] * d for w, d in zip(select.combine.weights(x).T, of_heads, strict=True))
    assert torch.allclose(assignment, combined.softmax(dim=-1), atol=1e-5)


def test_a_node_that_lies_on_a_key_has_finite_gradients() -> None:
    level = SparseLevel(_one_node(), CPU)
    for select in (MemoryAssignment(1, 2, 1, 2, 1), DistanceAssignment(1, 2, 1, 2, 1, 0.0, 10.0)):
        initialise(select, [0])
        x = select.keys[:, :1].detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(select(x, level).assignment[..., 0].sum(), x)
        assert torch.isfinite(gradient).all()


def _one_node() -> Topology:
    import numpy as np

    none = np.zeros(0, np.int64)
    ptr = np.zeros(2, np.int64)
    return Topology(1, 1, np.zeros(1, np.int64), np.ones(1, np.int64), ptr, none, ptr, none)
