"""The pairs are what they say: alike in size and degrees, told apart by the Weisfeiler-Leman test."""

import networkx as nx
import numpy as np
import pytest

from rethinking.data.dataset import GraphDataset
from rethinking.data.wl_pairs import read_wl_pairs, told_apart


def made(seed: int) -> GraphDataset:
    return read_wl_pairs(None, "pairs", pairs=40, backbone=(6, 12), trees=(2, 5), margin=1, seed=seed)


def graphs_of(dataset: GraphDataset) -> list[nx.Graph]:
    graphs = []
    for first, end in zip(dataset.node_ptr[:-1], dataset.node_ptr[1:], strict=True):
        graph = nx.Graph()
        graph.add_nodes_from(range(end - first))
        mine = slice(dataset.in_ptr[first], dataset.in_ptr[end])
        graph.add_edges_from((dataset.edge_index[:, mine] - first).T.tolist())
        graphs.append(graph)
    return graphs


@pytest.mark.filterwarnings("ignore:The hashes produced for graphs without")
def test_a_pair_is_alike_but_for_what_the_test_sees() -> None:
    dataset = made(0)
    graphs = graphs_of(dataset)
    assert dataset.y.tolist() == [0, 1] * 40
    for one, other in zip(graphs[::2], graphs[1::2], strict=True):
        assert nx.is_tree(one) and nx.is_tree(other)
        assert nx.degree_histogram(one) == nx.degree_histogram(other)
        assert not nx.is_isomorphic(one, other)
        hashes = [nx.weisfeiler_lehman_subgraph_hashes(graph, iterations=2).values() for graph in (one, other)]
        for rounds, apart in ((0, False), (1, True)):
            first, second = (sorted(hash_[rounds] for hash_ in of) for of in hashes)
            assert (first != second) == apart


def test_the_kinds_of_trees_are_as_many_as_their_class_says() -> None:
    """A fork is a node of degree 3 with two leaves, whose third neighbour has degree 2."""
    more_forks = []
    for graph in graphs_of(made(1)):
        degree = dict(graph.degree)
        around = [sorted(degree[other] for other in graph[node]) for node in graph]
        more_forks.append(around.count([1, 1, 2]) - around.count([1, 3]))
    # The backbone may have some by chance, as many in both graphs of a pair.
    assert (np.subtract(more_forks[1::2], more_forks[::2]) == 2).all()


def test_a_seed_gives_the_same_graphs_and_another_seed_others() -> None:
    assert made(0).fingerprint == made(0).fingerprint != made(1).fingerprint


def edges(graph: nx.Graph) -> tuple[int, np.ndarray]:
    return len(graph), np.array(graph.edges).T


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (nx.path_graph(4), nx.path_graph(5), 0),
        (nx.path_graph(4), nx.star_graph(3), 1),
        (nx.star_graph(3), nx.star_graph(3), None),
        # Regular graphs, which the test never tells apart.
        (nx.cycle_graph(6), nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3)), None),
    ],
)
def test_rounds_of_the_test(one: nx.Graph, other: nx.Graph, expected: int | None) -> None:
    assert told_apart(*edges(one), *edges(other)) == expected
    assert told_apart(*edges(other), *edges(one)) == expected
