"""On directed graphs the eight operators of Grattarola et al. 2022 keep the directions of edges."""

import networkx as nx
import numpy as np
import pytest
import torch
from torch import Tensor

from rethinking.pooling.operators.interface import Graphs
from tests.pooling.operators.test_src import OPERATORS, assignment, made, matrix, one


@pytest.fixture(autouse=True)
def in_double(double: None) -> None:
    """All in double precision."""


def test_ndp_takes_no_directed_graphs() -> None:
    graph = one(nx.path_graph(4))
    directed = Graphs(graph.x, graph.edge_index[:, :-1], graph.weights[:-1], graph.batch, 1)
    with pytest.raises(ValueError, match="NDP pools undirected graphs"):
        made("ndp")(directed)
    with pytest.raises(ValueError, match="NDP pools undirected graphs"):  # as its twins do
        made("ndp")(directed, made("ndp")(graph).assignment)


def pairs_on_a_ring() -> Graphs:
    """Six pairs, joined both ways by much weight; between them a ring that leads one way, by little."""
    graph = nx.DiGraph()
    rng = np.random.default_rng(0)
    for node in range(0, 12, 2):
        graph.add_edge(node, node + 1, weight=8.0)
        graph.add_edge(node + 1, node, weight=8.0)
    for node in range(12):
        for step in (2, 3):
            graph.add_edge(node, (node + step) % 12, weight=float(rng.uniform(0.5, 1)))
    return one(graph)


def by_degrees(adjacency: Tensor) -> Tensor:
    """D^−½ A D^−½, D the weight that leads to each node. adjacency: a row for the node an edge comes from."""
    scale = adjacency.sum(dim=0).rsqrt()
    return scale[:, None] * adjacency * scale


@pytest.mark.parametrize("name", [name for name in OPERATORS if name != "ndp"])
def test_edges_between_clusters_lead_where_those_of_their_nodes_do(name: str) -> None:
    """A' = SᵀAS, as each operator normalises it, of a directed graph; NDP takes none."""
    graph = pairs_on_a_ring()
    coarse = made(name)(graph)
    s, adjacency = assignment(coarse).dense(), matrix(graph)
    if name == "graclus":  # It says of each pair the second node alone.
        s = torch.eye(6)[assignment(coarse).node // 2].T.repeat_interleave(2, dim=0)
    if name in ("topk", "sagpool"):  # Weights are scores.
        s = (s != 0).to(s)
    if name == "nmf":
        adjacency = by_degrees(adjacency + torch.eye(12))
    expected = s.T @ adjacency @ s
    if name == "mincut":
        expected = expected - torch.diag(expected.diagonal())
    if name in ("mincut", "graclus"):
        expected = by_degrees(expected)
    assert torch.allclose(matrix(coarse.graphs), expected, rtol=0, atol=1e-5)
    assert not torch.allclose(expected, expected.T, rtol=0, atol=1e-3), "the same both ways: a weak test"
