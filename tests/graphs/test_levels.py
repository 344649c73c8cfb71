"""Levels agree with PyG's dense batches, sparse or dense, and with the complement made dense."""

import numpy as np
import pytest
import torch
from torch_geometric.utils import to_dense_adj, to_dense_batch

from rethinking.graphs.hops import hop_distances
from rethinking.graphs.levels import DenseLevel, SparseLevel
from rethinking.graphs.topology import Topology
from tests.conftest import CPU, replica_batch


def test_levels_agree_with_pyg(topology: Topology) -> None:
    level = SparseLevel(topology, CPU)
    x = torch.randn(3, topology.width, 4)
    for replica in range(3):
        rows, edges, batch = replica_batch(topology, replica)
        expected, mask = to_dense_batch(x[replica, rows], batch)
        n = expected.shape[1]
        assert torch.equal(level.per_graph(x)[replica, :, :n], expected)
        assert torch.equal(level.sizes[replica], mask.sum(dim=1))
        adjacency = to_dense_adj(edges, batch, max_num_nodes=n)
        assert torch.allclose(level.per_graph(level.degree)[replica, :, :n, 0], adjacency.sum(-1))
        assert torch.allclose(level.per_graph(level.neighbour_sum(x))[replica, :, :n], adjacency @ expected, atol=1e-6)
        assert torch.equal(level.adjacency[replica, :, :n, :n], adjacency)
        incoming = adjacency.transpose(1, 2)
        assert torch.allclose(level.per_graph(level.incoming_sum(x))[replica, :, :n], incoming @ expected, atol=1e-6)
        mean = incoming @ expected / incoming.sum(dim=-1, keepdim=True).clamp(min=1)
        assert torch.allclose(level.per_graph(level.incoming_mean(x))[replica, :, :n], mean, atol=1e-6)
        places = torch.arange(n).expand(len(mask), n)[mask]
        assert torch.equal(level.position[replica, rows], places)


def test_the_complement_of_a_level_is_the_complement_graph(topology: Topology) -> None:
    """Everything a level offers, against J − I − A made dense."""
    level = SparseLevel(topology, CPU)
    other = level.complement
    x = torch.randn(3, topology.width, 4)
    for replica in range(3):
        rows, edges, batch = replica_batch(topology, replica)
        features, mask = to_dense_batch(x[replica, rows], batch)
        pairs = mask[:, :, None] & mask[:, None, :] & ~torch.eye(mask.shape[1], dtype=torch.bool)
        expected = DenseLevel((pairs.float() - to_dense_adj(edges, batch))[None])
        flat, chosen = features.flatten(0, 1)[None], mask.flatten()
        n = mask.shape[1]
        assert torch.equal(other.adjacency[replica, :, :n, :n], expected.adjacency[0])
        names = ("neighbour_sum", "neighbour_mean", "mean_with_self", "incoming_sum", "incoming_mean")
        for name in names:
            ours = getattr(other, name)(x)[replica, rows]
            assert torch.allclose(ours, getattr(expected, name)(flat)[0, chosen], atol=1e-5)
        assert torch.allclose(other.degree[replica, rows], expected.degree[0, chosen])
        assert torch.allclose(other.squared_norm[replica], expected.squared_norm[0])
    assert not other.neighbour_sum(x)[~level.present.expand_as(x)].any()
    binary = (torch.rand(1, 2, 5, 5) < 0.5).float() * (1 - torch.eye(5))
    assert torch.equal(DenseLevel(binary).complement.complement.adjacency, binary)


def test_clusters_are_joined_on_the_complement_by_what_their_edge_falls_short_of_one() -> None:
    """Not by less than nothing where an edge weighs more, and no cluster with itself."""
    adjacency = 3 * torch.rand(2, 3, 5, 5, dtype=torch.double)
    adjacency[0, 0] = 0
    expected = (1 - adjacency).clamp(min=0) * (1 - torch.eye(5, dtype=torch.double))
    level = DenseLevel(adjacency)
    assert torch.allclose(level.complement.adjacency, expected)
    assert level.complement.directed and not DenseLevel(adjacency + adjacency.mT, directed=False).complement.directed


def test_rows_go_to_graphs_and_back(topology: Topology) -> None:
    level = SparseLevel(topology, CPU)
    x = torch.randn(3, topology.width, 4) * level.present
    assert torch.equal(level.from_graphs(level.per_graph(x)), x)
    dense = DenseLevel(torch.rand(3, 2, 5, 5))
    rows = torch.randn(3, 10, 4)
    assert torch.equal(dense.from_graphs(dense.per_graph(rows)), rows)


@pytest.mark.parametrize("name", ["sum", "mean", "max"])
def test_readouts_are_over_the_nodes_of_each_graph(topology: Topology, name: str) -> None:
    level = SparseLevel(topology, CPU)
    x = torch.randn(3, topology.width, 4, dtype=torch.double)
    ours = getattr(level, f"graph_{name}")(x).flatten(0, 1)
    for graph in range(3 * level.graphs):
        rows = x.flatten(0, 1)[level.rows_of(graph)]
        expected = rows.amax(dim=0) if name == "max" else getattr(rows, name)(dim=0)
        assert torch.allclose(ours[graph], expected)
    dense = DenseLevel(torch.rand(3, 2, 5, 5))
    rows = torch.randn(3, 10, 4).view(3, 2, 5, 4)
    expected = rows.amax(dim=2) if name == "max" else getattr(rows, name)(dim=2)
    assert torch.allclose(getattr(dense, f"graph_{name}")(rows.flatten(1, 2)), expected)


def test_hop_distances_are_those_of_every_graph(topology: Topology) -> None:
    level = SparseLevel(topology, CPU)
    hops = level.hops.flatten(0, 1)
    for graph in range(3 * level.graphs):
        rows = level.rows_of(graph)
        inside = [k for k, target in enumerate(topology.edge_index[1]) if rows.start <= target < rows.stop]
        expected = hop_distances(rows.stop - rows.start, topology.edge_index[:, inside] - rows.start)
        size = len(expected)
        assert (hops[graph, :size, :size].numpy() == expected).all()
        assert hops[graph, size:].isinf().all()
    weighted = DenseLevel(torch.tensor([[[[0, 0.5, 0], [0.5, 0, 2.0], [0, 2.0, 0]]]]))
    assert weighted.hops[0, 0].tolist() == [[0, 1, 2], [1, 0, 1], [2, 1, 0]]


def test_features_without_columns_have_sums_of_none(topology: Topology) -> None:
    """As a Select that is computed once a graph gets them."""
    level = SparseLevel(topology, CPU)
    x = torch.empty(3, topology.width, 0)
    for result in (level.graph_sum(x), level.graph_mean(x), level.graph_max(x)):
        assert result.shape == (3, level.graphs, 0)
    assert level.neighbour_sum(x).shape == x.shape
    assert level.from_graphs(level.per_graph(x)).shape == x.shape


def test_every_level_draws_from_streams_of_its_own(topology: Topology) -> None:
    keys = np.arange(len(topology.start)).astype(np.uint64)
    level = SparseLevel(topology, CPU, keys)
    coarser = level.coarser(topology, same_always=False)
    assert len({*level.keys.tolist(), *coarser.keys.tolist()}) == 2 * len(keys)
    assert (level.complement.keys == level.keys).all()


def test_complement_graphs_do_not_list_their_edges(topology: Topology) -> None:
    level = SparseLevel(topology, CPU)
    with pytest.raises(ValueError, match="not listed"):
        _ = level.complement.edge_index
    x = torch.randn(3, topology.width, 4)
    assert torch.equal(level.complement.complement.neighbour_sum(x), level.neighbour_sum(x))


def test_nothing_is_drawn_without_a_stream(topology: Topology) -> None:
    with pytest.raises(ValueError, match="without random streams"):
        _ = SparseLevel(topology, CPU).keys


@pytest.mark.parametrize("dense", [False, True])
def test_a_mean_that_is_kept_is_of_what_x_is_now(level: SparseLevel, dense: bool) -> None:
    """Made once for the same features; anew when they have changed in place, or are to have a gradient."""
    graphs = DenseLevel(torch.rand(3, 2, 5, 5)) if dense else level
    x = torch.randn(3, 10 if dense else level.topology.width, 4)
    first = graphs.mean_with_self(x)
    assert graphs.mean_with_self(x) is first
    assert not torch.equal(graphs.neighbour_mean(x), first)
    x.mul_(2)
    assert torch.allclose(graphs.mean_with_self(x), 2 * first)
    with torch.no_grad():
        graphs.mean_with_self(x.requires_grad_())
    assert graphs.mean_with_self(x).requires_grad
