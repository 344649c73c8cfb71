"""Soft pooling and its losses equal PyG's dense operators on random ragged batches; A need not be dense for it."""

import numpy as np
import pytest
import torch
from torch_geometric.nn import dense_diff_pool, dense_mincut_pool
from torch_geometric.utils import to_dense_adj, to_dense_batch

from rethinking.data.batches import lay_out
from rethinking.data.dataset import build_dataset
from rethinking.graphs.levels import DenseLevel, SparseLevel
from rethinking.graphs.topology import Topology
from rethinking.pooling.connect import NormalisedConnect, ProductConnect
from rethinking.pooling.losses import entropy_loss, link_loss, mincut_loss, orthogonality_loss
from rethinking.pooling.reduce import SumReduce
from rethinking.pooling.selection import SoftSelection
from tests.conftest import CPU, replica_batch


def test_equals_pygs_mincut_pool(topology: Topology) -> None:
    """Features, adjacency and both losses, forward and backward."""
    level = SparseLevel(topology, CPU)
    x = torch.randn(3, topology.width, 5, dtype=torch.double)
    scores = torch.randn(3, topology.width, 4, dtype=torch.double, requires_grad=True)
    assignment = scores.softmax(dim=-1)
    selection = SoftSelection(assignment, level)
    coarse = NormalisedConnect()(selection, same_always=False).adjacency
    pooled = SumReduce()(x, selection).unflatten(1, (level.graphs, -1))
    mincut = mincut_loss(selection, level)
    apart = orthogonality_loss(selection, level)
    compared = 0
    for replica in range(3):
        rows, edges, batch = replica_batch(topology, replica)
        features, mask = to_dense_batch(x[replica, rows], batch)
        logits, _ = to_dense_batch(scores[replica, rows], batch)
        adjacency = to_dense_adj(edges, batch).double()
        out, out_adjacency, _, orthogonality = dense_mincut_pool(features, adjacency, logits, mask)
        assert torch.allclose(pooled[replica], out)
        assert torch.allclose(coarse[replica], out_adjacency)
        assert torch.allclose(apart[replica], orthogonality)
        # PyG divides zero by zero for a graph without edges; ours counts it as zero.
        edges_in = adjacency.sum(dim=(-1, -2)) > 0
        _, _, loss, _ = dense_mincut_pool(features[edges_in], adjacency[edges_in], logits[edges_in], mask[edges_in])
        compared += int(edges_in.sum())
        assert torch.allclose(mincut[replica], loss * edges_in.double().mean())
        ours, theirs = (
            torch.autograd.grad((a * torch.arange(1.0, 6)).sum() + b, scores, retain_graph=True)[0][replica]
            for a, b in ((pooled[replica], apart[replica]), (out, orthogonality))
        )
        assert torch.allclose(ours, theirs)
    assert torch.isfinite(mincut).all()
    assert compared > 0


def test_a_graph_without_edges_has_finite_gradients() -> None:
    scores = torch.randn(1, 3, 2, requires_grad=True)
    level = DenseLevel(torch.zeros(1, 1, 3, 3))
    assignment = scores.softmax(dim=-1)
    selection = SoftSelection(assignment, level)
    loss = mincut_loss(selection, level) + orthogonality_loss(selection, level)
    (loss.sum() + NormalisedConnect()(selection, same_always=False).adjacency.sum()).backward()
    assert torch.isfinite(scores.grad).all()
    assert float(mincut_loss(selection, level).detach()) == 0


def test_equals_pygs_diff_pool(topology: Topology) -> None:
    """Features, adjacency and both losses, forward and backward, without the Gramian of the nodes."""
    level = SparseLevel(topology, CPU)
    x = torch.randn(3, topology.width, 5, dtype=torch.double)
    scores = torch.randn(3, topology.width, 4, dtype=torch.double, requires_grad=True)
    assignment = scores.softmax(dim=-1)
    selection = SoftSelection(assignment, level)
    coarse = ProductConnect()(selection, same_always=False).adjacency
    pooled = SumReduce()(x, selection).unflatten(1, (level.graphs, -1))
    losses = link_loss(selection, level), entropy_loss(selection, level)
    for replica in range(3):
        rows, edges, batch = replica_batch(topology, replica)
        features, mask = to_dense_batch(x[replica, rows], batch)
        logits, _ = to_dense_batch(scores[replica, rows], batch)
        adjacency = to_dense_adj(edges, batch).double()
        out, out_adjacency, *expected = dense_diff_pool(features, adjacency, logits, mask)
        assert torch.allclose(pooled[replica], out)
        assert torch.allclose(coarse[replica], out_adjacency)
        for ours, theirs in zip(losses, expected, strict=True):
            assert torch.allclose(ours[replica], theirs)
            mine, yours = (torch.autograd.grad(y, scores, retain_graph=True)[0] for y in (ours[replica], theirs))
            assert torch.allclose(mine[replica], yours[replica], atol=1e-10)


def test_the_losses_of_a_dense_level_equal_pygs() -> None:
    adjacency, scores = torch.rand(1, 3, 6, 6).double(), torch.randn(1, 18, 4).double()
    level = DenseLevel(adjacency)
    assignment = scores.softmax(dim=-1)
    selection = SoftSelection(assignment, level)
    *_, link, entropy = dense_diff_pool(torch.zeros(3, 6, 1).double(), adjacency[0], scores.view(3, 6, 4))
    assert torch.allclose(link_loss(selection, level)[0], link)
    assert torch.allclose(entropy_loss(selection, level)[0], entropy)


@pytest.mark.parametrize("nodes", [3, 7, 11])
def test_a_complement_without_edges_costs_nothing(nodes: int) -> None:
    """Its cut is a difference of sums, of which rounding leaves something."""
    edges = np.stack(np.nonzero(1 - np.eye(nodes, dtype=int)))
    x = np.ones((2 * nodes, 1), np.float32)
    two = np.concatenate([edges, nodes + edges], axis=1)
    complete = build_dataset("complete", np.repeat([0, 1], nodes), two, x, np.array([0, 1]))
    level = SparseLevel(lay_out(complete, np.array([[0, 1]]))[0], CPU).complement
    scores = torch.randn(1, 2 * nodes, 4, requires_grad=True)
    loss = mincut_loss(SoftSelection(scores.softmax(dim=-1), level), level)
    assert float(loss.detach()) == 0
    assert float(torch.autograd.grad(loss.sum(), scores)[0].abs().max()) == 0
