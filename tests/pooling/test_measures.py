"""Measures of an assignment have their closed forms on small graphs."""

import numpy as np
import pytest
from networkx import Graph, all_pairs_shortest_path_length, barbell_graph
from networkx.algorithms.community import modularity
from scipy.spatial.distance import pdist

from rethinking.graphs.hops import hop_distances
from rethinking.pooling.measures import assignment_measures, cosine_distance


def edges_of(graph: Graph) -> np.ndarray:
    one_way = np.array(list(graph.edges)).T.reshape(2, -1)
    return np.concatenate([one_way, one_way[::-1]], axis=1)


GRAPH = barbell_graph(3, 0)  # two triangles and an edge between them
EDGES = edges_of(GRAPH)
HOPS = hop_distances(6, EDGES)
TRIANGLES = np.repeat(np.eye(2), 3, axis=0)


def test_hops_are_networkxs() -> None:
    lengths = dict(all_pairs_shortest_path_length(GRAPH))
    assert np.array_equal(HOPS, [[lengths[i][j] for j in range(6)] for i in range(6)])
    # Edges of one direction count both ways; apart is infinite.
    assert hop_distances(3, np.array([[0], [1]])).tolist() == [[0, 1, np.inf], [1, 0, np.inf], [np.inf, np.inf, 0]]


def test_a_perfect_clustering() -> None:
    measures = assignment_measures(TRIANGLES, EDGES, HOPS)
    assert measures["entropy"] == 0
    assert measures["clusters"] == pytest.approx(2)
    assert measures["edges_inside"] == pytest.approx(6 / 7)
    assert measures["hops"] == 1
    assert measures["modularity"] == pytest.approx(modularity(GRAPH, [{0, 1, 2}, {3, 4, 5}]))


def test_no_clustering_at_all() -> None:
    """Every node in every cluster alike: edges inside by chance, distances those of all pairs."""
    measures = assignment_measures(np.full((6, 4), 0.7), EDGES, HOPS)
    others = HOPS[~np.eye(6, dtype=bool)].mean()
    expected = {"entropy": 1, "clusters": 4, "edges_inside": 1 / 4, "hops": others, "modularity": 0}
    assert measures == pytest.approx(expected, abs=1e-12)


def test_clusters_of_one_node_have_no_pairs() -> None:
    measures = assignment_measures(np.eye(6), EDGES, HOPS)
    assert np.isnan(measures["hops"]) and measures["edges_inside"] == 0
    assert measures["clusters"] == pytest.approx(6)


def test_nodes_in_no_cluster() -> None:
    """The first triangle is a cluster, by whatever weights; the other nodes are in none."""
    some = np.array([[2.0], [-1.0], [0.5], [0], [0], [0]])
    measures = assignment_measures(some, EDGES, HOPS)
    assert measures["clusters"] == pytest.approx(1) and measures["hops"] == 1 and measures["entropy"] == 0
    assert measures["edges_inside"] == pytest.approx(3 / 7)
    assert assignment_measures(np.zeros((6, 2)), EDGES, HOPS)["clusters"] == 0


def test_a_graph_without_edges() -> None:
    none = np.zeros((2, 0), int)
    measures = assignment_measures(np.full((3, 2), 0.5), none, hop_distances(3, none))
    assert measures["entropy"] == pytest.approx(1)
    assert all(np.isnan(measures[name]) for name in ("edges_inside", "hops", "modularity"))
    assert assignment_measures(np.ones((3, 1)), none, hop_distances(3, none))["entropy"] == 0


def test_what_does_not_depend_on_how_nodes_and_clusters_are_numbered() -> None:
    rng = np.random.default_rng(0)
    soft = rng.random((6, 3))
    nodes, clusters = rng.permutation(6), rng.permutation(3)
    place = np.argsort(nodes)
    renumbered = assignment_measures(soft[nodes][:, clusters], place[EDGES], HOPS[np.ix_(nodes, nodes)])
    assert renumbered == pytest.approx(assignment_measures(soft, EDGES, HOPS))


def test_cosine_distances_are_scipys() -> None:
    x = np.random.default_rng(0).normal(size=(7, 3))
    assert cosine_distance(x) == pytest.approx(pdist(x, "cosine").mean())
    assert cosine_distance(np.outer([1, 2, 3], [1, 1])) == pytest.approx(0)
    # Rows of zeros point nowhere.
    assert cosine_distance(np.concatenate([x, np.zeros((2, 3))])) == pytest.approx(cosine_distance(x))
    assert np.isnan(cosine_distance(np.ones((1, 3))))
