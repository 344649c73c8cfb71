"""The bundled graphs follow the SMNIST rule, node by node."""

import math

import numpy as np
from sklearn.datasets import load_digits

from rethinking.configuration.composition import dataset_config
from rethinking.data.dataset import GraphDataset
from rethinking.data.neighbours import neighbour_edges


def test_nodes_are_the_pixels_with_ink(digits: GraphDataset) -> None:
    images = load_digits().images
    graph = 17
    nodes = digits.x[digits.node_ptr[graph] : digits.node_ptr[graph + 1]]
    expected = [[images[graph, r, c] / 16, r / 8, c / 8] for r in range(8) for c in range(8) if images[graph, r, c] > 0]
    assert np.allclose(nodes, expected)
    assert digits.y[graph] == load_digits().target[graph]


def test_edges_follow_the_rule_written_out() -> None:
    """The specification's formulas as loops, on irregular points, where no two similarities are equal."""
    centre = np.random.default_rng(0).random((14, 2))
    n, k = len(centre), 8
    d = [[math.dist(a, b) for b in centre] for a in centre]
    sigma = [sum(sorted(d[i][j] for j in range(n) if j != i)[:k]) / k for i in range(n)]
    m = [[math.exp(-((d[i][j] / sigma[i]) ** 2)) for j in range(n)] for i in range(n)]
    w = [[(m[i][j] + m[j][i]) / 2 for j in range(n)] for i in range(n)]
    expected = {(i, j) for i in range(n) for j in sorted((j for j in range(n) if j != i), key=lambda j: -w[i][j])[:k]}
    assert set(map(tuple, neighbour_edges(np.array([n]), centre, k, "points").T.tolist())) == expected


def test_the_graphs_are_directed_with_eight_edges_a_node(digits: GraphDataset) -> None:
    assert digits.directed
    assert (np.diff(digits.out_ptr) == 8).all()
    assert set(np.diff(digits.in_ptr)) != {8}


def test_the_content_is_the_one_in_the_configuration(digits: GraphDataset) -> None:
    assert digits.fingerprint == dataset_config("digits").fingerprint
