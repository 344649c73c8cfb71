"""Reduce and Connect equal PyG's on the same clusters, on both code paths, forward and backward."""

import numpy as np
import torch
from torch_geometric.data import Batch
from torch_geometric.nn import global_mean_pool, max_pool

from rethinking.graphs.topology import Topology, expand
from rethinking.pooling import reduce
from rethinking.pooling.connect import coarsen
from rethinking.pooling.matching import NeighbourMatching


def draw(topology: Topology) -> np.ndarray:
    keys = np.arange(len(topology.start)).astype(np.uint64)
    return NeighbourMatching().draw(topology, keys)


def test_equals_pyg_max_pool(topology: Topology) -> None:
    partner = draw(topology)
    clusters, coarse = coarsen(topology, partner)
    # Few distinct values, so that several nodes of a cluster often hold the maximum. Not zero: there torch's
    # scatter gives a part of the gradient to the zero it starts from.
    values = torch.randint(0, 2, (3, topology.width, 4)).double() - 0.5
    x = values.clone().requires_grad_()
    pooled = reduce.cluster_max(x, clusters, coarse)

    rows = expand(topology.start, topology.size)
    nodes = torch.from_numpy(rows)
    relabel = torch.full((topology.rows,), -1)
    relabel[nodes] = torch.arange(len(nodes))
    x_pyg = values.view(-1, 4)[nodes].clone().requires_grad_()
    cluster = relabel[torch.from_numpy(np.minimum(partner[rows], rows))]
    edge_index = relabel[torch.from_numpy(topology.edge_index)]
    batch = torch.from_numpy(topology.graph[rows])
    expected = max_pool(cluster, Batch(x=x_pyg, edge_index=edge_index, batch=batch))

    coarse_nodes = torch.from_numpy(expand(coarse.start, coarse.size))
    assert torch.equal(pooled.reshape(-1, 4)[coarse_nodes], expected.x)
    assert (torch.from_numpy(coarse.graph)[coarse_nodes] == expected.batch).all()
    position = torch.full((coarse.rows,), -1)
    position[coarse_nodes] = torch.arange(len(coarse_nodes))
    ours = position[torch.from_numpy(coarse.edge_index)]
    assert set(map(tuple, ours.T.tolist())) == set(map(tuple, expected.edge_index.T.tolist()))
    assert ours.shape == expected.edge_index.shape

    weight = torch.randn(len(coarse_nodes), 4, dtype=torch.double)
    (pooled.reshape(-1, 4)[coarse_nodes] * weight).sum().backward()
    (expected.x * weight).sum().backward()
    assert torch.allclose(x.grad.view(-1, 4)[nodes], x_pyg.grad)


def test_transposed_edges_are_kept_in_step(topology: Topology) -> None:
    _, coarse = coarsen(topology, draw(topology))
    forward = set(map(tuple, coarse.edge_index.T.tolist()))
    source = np.repeat(np.arange(coarse.rows), np.diff(coarse.out_ptr))
    backward = set(zip(source.tolist(), coarse.out_rows.tolist(), strict=True))
    assert forward == backward
    assert coarse.directed == topology.directed


def test_graph_mean_equals_pyg(topology: Topology) -> None:
    x = torch.randn(3, topology.width, 4, dtype=torch.double, requires_grad=True)
    nodes = torch.from_numpy(expand(topology.start, topology.size))
    graph = torch.from_numpy(topology.graph)[nodes]
    ours = reduce.graph_mean(x, topology)
    expected = global_mean_pool(x.view(-1, 4)[nodes], graph, len(topology.start))
    assert torch.allclose(ours.reshape(-1, 4), expected)
    weight = torch.randn_like(ours)
    gradients = [torch.autograd.grad((y.reshape(-1, 4) * weight.view(-1, 4)).sum(), x)[0] for y in (ours, expected)]
    assert torch.allclose(*gradients)


def test_the_scatter_paths_equal_the_compiled_ones(topology: Topology) -> None:
    """What runs on CUDA, run on the CPU."""
    clusters, coarse = coarsen(topology, draw(topology))
    x = torch.randint(-1, 2, (3, topology.width, 4)).double().requires_grad_()
    pairs = [
        (reduce.cluster_max(x, clusters, coarse), reduce.scatter_cluster_max(x, clusters, coarse)),
        (reduce.graph_mean(x, topology), reduce.scatter_graph_mean(x, topology)),
    ]
    for compiled, scattered in pairs:
        assert torch.allclose(compiled, scattered)
        weight = torch.randn_like(compiled)
        gradients = [torch.autograd.grad((y * weight).sum(), x)[0] for y in (compiled, scattered)]
        assert torch.allclose(*gradients)
