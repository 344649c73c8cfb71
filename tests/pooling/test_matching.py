"""A matching is a maximal matching, pairs whom it should, and picks uniformly."""

import numpy as np
import pytest
from scipy import stats

from rethinking.data.batches import lay_out
from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.graphs.topology import Topology, expand
from rethinking.pooling.matching import ComplementMatching, Matching, NeighbourMatching, UniformMatching

SELECTS = [NeighbourMatching(), ComplementMatching(), UniformMatching()]
ONLY_NEIGHBOURS = {NeighbourMatching: True, ComplementMatching: False, UniformMatching: None}


def candidates(select: Matching, topology: Topology) -> np.ndarray:
    """Who may pair with whom, bool [R·N, R·N], by the definition."""
    adjacency = np.zeros((topology.rows, topology.rows), bool)
    adjacency[tuple(topology.edge_index)] = True
    adjacency |= adjacency.T
    graph = topology.graph
    together = (graph[:, None] == graph) & (graph < len(topology.start))[:, None]
    wanted = ONLY_NEIGHBOURS[type(select)]
    allowed = np.ones_like(adjacency) if wanted is None else adjacency == wanted
    return together & allowed & ~np.eye(topology.rows, dtype=bool)


def keys(topology: Topology, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(2**63, size=len(topology.start)).astype(np.uint64)


@pytest.mark.parametrize("select", SELECTS, ids=lambda select: type(select).__name__)
def test_is_a_maximal_matching_of_candidates(select: Matching, topology: Topology) -> None:
    allowed = candidates(select, topology)
    assert allowed.any()
    for seed in range(20):
        partner = select.draw(topology, keys(topology, seed))
        nodes = expand(topology.start, topology.size)
        padding = np.setdiff1d(np.arange(topology.rows), nodes)
        assert (partner[padding] == -1).all()
        assert (partner[partner[nodes]] == nodes).all()
        paired = nodes[partner[nodes] != nodes]
        assert allowed[paired, partner[paired]].all()
        alone = nodes[partner[nodes] == nodes]
        assert not allowed[np.ix_(alone, alone)].any()


@pytest.mark.parametrize("select", SELECTS, ids=lambda select: type(select).__name__)
def test_depends_on_its_stream_alone(select: Matching, topology: Topology, dataset: GraphDataset) -> None:
    first = select.draw(topology, keys(topology))
    assert (first == select.draw(topology, keys(topology))).all()
    assert (first != select.draw(topology, keys(topology, 1))).any()
    # The same graph with the same key is matched alike wherever it lies in a batch.
    graph = int(np.argmax(dataset.sizes))
    alone, _ = lay_out(dataset, np.array([[graph]]))
    among, _ = lay_out(dataset, np.array([[3, graph], [graph, 5]]))
    key = np.uint64(99)
    expected = select.draw(alone, np.array([key]))
    partners = select.draw(among, np.full(4, key))
    for place in (1, 2):
        start, size = among.start[place], among.size[place]
        assert (partners[start : start + size] - start == expected).all()


def star_and_isolated() -> GraphDataset:
    """Node 0 joined to 1, 2, 3, 4; nodes 5 and 6 apart."""
    edges = np.array([[0, 1, 0, 2, 0, 3, 0, 4], [1, 0, 2, 0, 3, 0, 4, 0]])
    return build_dataset("star", np.zeros(7, int), edges, np.ones((7, 1), np.float32), np.zeros(1, int))


def test_neighbours_are_picked_uniformly() -> None:
    """By symmetry each leaf of a star is the centre's partner equally often."""
    topology, _ = lay_out(star_and_isolated(), np.zeros((1, 4000), int))
    partner = NeighbourMatching().draw(topology, keys(topology)) - topology.start.repeat(7)
    counts = np.bincount(partner[::7], minlength=5)
    assert counts[0] == 0
    assert stats.chisquare(counts[1:5]).pvalue > 1e-3


@pytest.mark.parametrize("select", [ComplementMatching(), UniformMatching()], ids=lambda s: type(s).__name__)
def test_all_perfect_matchings_are_equally_likely(select: Matching) -> None:
    """Four nodes without edges: everyone is a candidate, and there are three perfect matchings."""
    dataset = build_dataset("dots", np.zeros(4, int), np.zeros((2, 0), int), np.ones((4, 1)), np.zeros(1, int))
    topology, _ = lay_out(dataset, np.zeros((1, 6000), int))
    partner = select.draw(topology, keys(topology)) - topology.start.repeat(4)
    counts = np.bincount(partner[::4], minlength=4)
    assert counts[0] == 0
    assert stats.chisquare(counts[1:]).pvalue > 1e-3


def test_the_order_of_visits_is_uniform() -> None:
    """A path a–b–c–d is matched fully unless b and c pair: exactly when the first visit is to b or c and it
    picks the other, (1/2)·(1/2) = 1/4 of the draws."""
    edges = np.array([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])
    dataset = build_dataset("path", np.zeros(4, int), edges, np.ones((4, 1)), np.zeros(1, int))
    draws = 8000
    topology, _ = lay_out(dataset, np.zeros((1, draws), int))
    partner = NeighbourMatching().draw(topology, keys(topology)) - topology.start.repeat(4)
    middle = int((partner[1::4] == 2).sum())
    assert stats.binomtest(middle, draws, 0.25).pvalue > 1e-3


@pytest.mark.parametrize("edge", [(0, 1), (1, 0)])
def test_one_way_only_the_direction_of_an_edge_counts(edge: tuple[int, int]) -> None:
    """Two nodes and one directed edge: they pair if the first visit is to its source; else they would always."""
    dataset = build_dataset("pair", np.zeros(2, int), np.array(edge)[:, None], np.ones((2, 1)), np.zeros(1, int))
    draws = 4000
    topology, _ = lay_out(dataset, np.zeros((1, draws), int))

    def paired(select: Matching) -> int:
        return int((select.draw(topology, keys(topology)) - topology.start.repeat(2))[::2].sum())

    assert paired(NeighbourMatching()) == draws
    assert stats.binomtest(paired(NeighbourMatching(one_way=True)), draws, 0.5).pvalue > 1e-3
    # They are no neighbours in the complement if the earlier points to the later; the other edge is not seen.
    assert paired(ComplementMatching()) == 0
    assert paired(ComplementMatching(one_way=True)) == (0 if edge == (0, 1) else draws)


def test_one_way_or_not_is_the_same_for_undirected_graphs() -> None:
    topology, _ = lay_out(star_and_isolated(), np.zeros((1, 50), int))
    for kind in (NeighbourMatching, ComplementMatching):
        assert np.array_equal(*(kind(one_way=way).draw(topology, keys(topology)) for way in (True, False)))
