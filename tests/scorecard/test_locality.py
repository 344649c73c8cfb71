"""Measures of an operator's clusters are those of the harness, graph by graph."""

import numpy as np
import pytest
import torch

from rethinking.pooling.operators.interface import Assignment, Graphs
from rethinking.scorecard.locality import locality
from rethinking.scorecard.point_clouds import point_cloud
from tests.scorecard.operators import Identity, Pairs, Top, Uniform

# A path of four nodes, with edges of one direction, and two nodes without edges.
GRAPHS = Graphs(torch.ones(6, 1), torch.tensor([[0, 1, 2], [1, 2, 3]]), None, torch.tensor([0, 0, 0, 0, 1, 1]), 2)


def test_pairs_of_neighbours() -> None:
    entries = torch.tensor([0, 0, 1, 1, 2, 2])
    clusters = Assignment(torch.arange(6), entries, torch.ones(6), torch.tensor([0, 0, 1]), 6)
    measures = locality(clusters, GRAPHS)
    # The second graph has no edges and no path, so these are the first one's.
    assert measures["hops"] == 1 and measures["hops_of_all"] == pytest.approx(10 / 6)
    assert measures["edges_inside"] == pytest.approx(2 / 3)
    assert measures["clusters"] == pytest.approx((2 + 1) / 2) and measures["entropy"] == 0
    apart = Assignment(torch.arange(6), entries[[0, 2, 1, 3, 4, 5]], torch.ones(6), torch.tensor([0, 0, 1]), 6)
    assert locality(apart, GRAPHS)["hops"] == 2 and locality(apart, GRAPHS)["edges_inside"] == 0


def test_of_operators() -> None:
    graphs = point_cloud("ring").with_signals(torch.ones(64, 2))
    found = {
        operator: locality(operator(in_features=2, clusters=8, ratio=0.5)(graphs).assignment, graphs)
        for operator in (Identity, Pairs, Uniform, Top)
    }
    assert found[Pairs]["edges_inside"] == 0.5 and found[Pairs]["clusters"] == pytest.approx(32)
    assert found[Uniform]["entropy"] == pytest.approx(1) and found[Identity]["entropy"] == 0
    assert found[Uniform]["hops"] == pytest.approx(found[Uniform]["hops_of_all"])
    assert found[Top]["clusters"] == pytest.approx(32, rel=1e-3) and np.isnan(found[Top]["hops"])
