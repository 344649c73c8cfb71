"""Smoothness, density and spectrum have closed forms on known graphs."""

from dataclasses import replace
from functools import partial
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from torch import Tensor

from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, over_edges
from rethinking.scorecard.point_clouds import PointCloud, grid, point_cloud
from rethinking.scorecard.settings import SpectralSettings, card_settings
from rethinking.scorecard.spectral import (
    compare_structure,
    density,
    distance,
    quadratic_forms,
    signals,
    spectrum,
)
from tests.scorecard.operators import Identity, Pairs, Soft, Top, Uniform
from tests.scorecard.published import published_operators

FULL = card_settings("full")

CLOUD = grid(4, 5)


@pytest.fixture
def settings() -> SpectralSettings:
    settings = FULL.spectral
    return replace(settings, eigenvectors=5, fit=replace(settings.fit, most_steps=30))


def smoothness(cloud: PointCloud, x: Tensor) -> Tensor:
    return quadratic_forms(x, partial(over_edges, cloud.with_signals(x)))


def as_networkx(cloud: PointCloud) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(range(cloud.nodes))
    for (one, other), weight in zip(cloud.edge_index.T.tolist(), cloud.edge_weight.tolist(), strict=True):
        graph.add_edge(one, other, weight=weight)
    return graph


@pytest.mark.usefixtures("double")
def test_signals_are_coordinates_and_smooth_eigenvectors() -> None:
    cloud = point_cloud("sensor")
    x = signals(cloud, 6)
    assert torch.allclose(x.square().sum(dim=0), torch.ones(8))
    centred = cloud.coordinates - cloud.coordinates.mean(axis=0)
    assert np.allclose(np.abs(np.corrcoef(x[:, :2].T, centred.T)[:2, 2:].diagonal()), 1)
    # The quadratic form of an eigenvector is its eigenvalue, that of the constant one zero.
    values = np.linalg.eigvalsh(nx.laplacian_matrix(as_networkx(cloud)).toarray())[:6]
    assert np.allclose(smoothness(cloud, x)[2:], values)


def test_quadratic_forms_are_sums_over_edges() -> None:
    x = torch.randn(CLOUD.nodes, 3)
    one, other = torch.from_numpy(CLOUD.edge_index)
    assert torch.allclose(smoothness(CLOUD, x), (x[one] - x[other]).square().sum(dim=0) / 2)


def test_distances_are_means_of_sizes_or_squares() -> None:
    before, after = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.0])
    assert distance(before, after, squared=False) == 1.5
    assert distance(before, after, squared=True) == 2.5


@pytest.mark.parametrize("squared", [False, True])
def test_without_pooling_nothing_changes(settings: SpectralSettings, squared: bool) -> None:
    found = compare_structure(Identity, CLOUD, signals(CLOUD, 5), replace(settings, squared=squared), 0)
    assert found.distance == pytest.approx(0, abs=1e-6) and found.fit.steps == 0
    assert found.density == pytest.approx(CLOUD.edge_index.shape[1] / CLOUD.nodes**2) and found.median == 1


def test_uniform_clusters_are_all_joined_alike(settings: SpectralSettings) -> None:
    x = signals(CLOUD, 5)
    found = compare_structure(Uniform, CLOUD, x, settings, 0)
    assert found.density == pytest.approx(1 - 1 / 10)
    assert found.median == pytest.approx(CLOUD.edge_weight.sum() / 100, rel=1e-5)
    # All clusters have the same features, so nothing is left of any signal.
    assert found.distance == pytest.approx(float(smoothness(CLOUD, x).mean()), rel=1e-4)


def test_training_brings_the_graphs_nearer(settings: SpectralSettings) -> None:
    x = signals(CLOUD, 5)
    untrained = replace(settings, fit=replace(settings.fit, most_steps=0))
    for operator in (Soft, Top):
        before = compare_structure(operator, CLOUD, x, untrained, 0)
        after = compare_structure(operator, CLOUD, x, settings, 0)
        assert after.distance < before.distance and after.fit.steps > 0 == before.fit.steps


def test_the_distance_is_that_of_the_pooled_graph_that_is_shown(settings: SpectralSettings) -> None:
    """Though it is trained without its edges, and an operator may draw each time."""

    class Drawing(Soft):
        def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
            return super().forward(replace(graphs, x=graphs.x + torch.randn_like(graphs.x)), given)

    x, operators = signals(CLOUD, 5), published_operators()
    for operator in (operators["diffpool"], operators["mincut"], Drawing):
        found = compare_structure(operator, CLOUD, x, settings, 0)
        pooled = found.coarse.graphs
        after = quadratic_forms(pooled.x, partial(over_edges, pooled))
        assert found.distance == pytest.approx(float(distance(smoothness(CLOUD, x), after, squared=False)))


def test_pairs_of_a_ring_are_a_ring() -> None:
    found = compare_structure(Pairs, point_cloud("ring"), signals(point_cloud("ring"), 5), FULL.spectral, 0)
    assert (found.density, found.median) == (2 / 32, 1)
    # Loops, two of each pair, count for the degree and not for the Laplacian.
    expected = np.sort((1 - np.cos(2 * np.pi * np.arange(32) / 32)) / 2)
    assert np.allclose(spectrum(found.coarse.graphs), expected)


def test_soft_clusters_are_joined_to_nearly_all_others_and_single_nodes_are_not() -> None:
    """Grattarola et al. 2022."""
    cloud = point_cloud("grid2d")
    settings = FULL.spectral
    settings = replace(settings, fit=replace(settings.fit, most_steps=0))
    operators, x = published_operators(), signals(cloud, settings.eigenvectors)
    density = {name: compare_structure(operators[name], cloud, x, settings, 0).density for name in operators}
    assert min(density[name] for name in ("diffpool", "mincut", "lapool")) > 0.8
    assert max(density[name] for name in ("topk", "sagpool", "ndp", "graclus")) < 0.25


def test_spectra_are_networkxs() -> None:
    cloud = point_cloud("sensor")
    ours = spectrum(cloud.with_signals(torch.ones(64, 1)))
    assert np.allclose(ours, np.sort(nx.normalized_laplacian_spectrum(as_networkx(cloud))), atol=1e-6)


def test_a_graph_without_edges_has_no_median() -> None:
    none = Graphs(torch.ones(3, 1), torch.zeros(2, 0, dtype=torch.long), None, torch.zeros(3, dtype=torch.long), 1)
    share, median = density(none, 1e-9)
    assert share == 0 and np.isnan(median) and (spectrum(none) == 0).all()


def test_signals_must_stay_signals(settings: SpectralSettings) -> None:
    class Wider(Identity):
        def forward(self, graphs: Graphs, given: Any = None) -> Coarse:
            return Coarse(replace(graphs, x=torch.cat([graphs.x, graphs.x], dim=1)), None)

    with pytest.raises(ValueError, match="14 features for 7 signals"):
        compare_structure(Wider, CLOUD, signals(CLOUD, 5), settings, 0)
