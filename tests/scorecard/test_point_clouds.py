"""The graphs are those of PyGSP, in the version that was used."""

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array

from rethinking.errors import UserError
from rethinking.scorecard import point_clouds
from rethinking.scorecard.point_clouds import PointCloud, bunny, point_cloud

# N and undirected edges, of PyGSP 0.5.1; those of Sensor of 0.6.1, as its graphs of 0.5.1 cannot be had.
SIZES = {
    "grid2d": (64, 112), "ring": (64, 64), "sensor": (64, 228), "bunny": (2503, 65490), "minnesota": (2642, 3304),
    "airfoil": (4253, 12289),
}  # fmt: skip


def matrix(cloud: PointCloud) -> np.ndarray:
    return coo_array((cloud.edge_weight, tuple(cloud.edge_index)), shape=(cloud.nodes, cloud.nodes)).toarray()


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_known_and_edges_go_both_ways(name: str) -> None:
    if name not in ("grid2d", "ring", "sensor"):
        pytest.importorskip("pygsp")
    cloud = point_cloud(name)
    adjacency = matrix(cloud)
    assert (cloud.nodes, cloud.edge_index.shape[1] / 2) == SIZES[name]
    assert np.array_equal(adjacency, adjacency.T) and not adjacency.diagonal().any()
    assert np.isfinite(cloud.coordinates).all() and cloud.coordinates.shape[0] == cloud.nodes


@pytest.mark.filterwarnings("ignore:Input has data type")
def test_those_that_did_not_change_are_pygsps() -> None:
    graphs = pytest.importorskip("pygsp.graphs")
    others = {
        "grid2d": graphs.Grid2d(8, 8), "ring": graphs.Ring(64), "minnesota": graphs.Minnesota(),
        "airfoil": graphs.Airfoil(), "sensor": graphs.Sensor(64, seed=0),
    }  # fmt: skip
    for name, other in others.items():
        cloud = point_cloud(name)
        assert np.allclose(cloud.coordinates, other.coords), name
        assert np.allclose(matrix(cloud), other.W.toarray().astype(float)), name


def test_the_bunny_has_the_size_it_had() -> None:
    pytest.importorskip("pygsp")
    cloud = bunny(radius=0.2, width=0.1)
    assert np.allclose(cloud.coordinates.mean(axis=0), 0)
    raw = point_clouds._shipped("bunny", ["bunny"])["bunny"]
    assert np.ptp(cloud.coordinates, axis=0) / np.ptp(raw, axis=0) == pytest.approx(10.889, abs=1e-3)
    one, other = cloud.edge_index
    distance = np.linalg.norm(cloud.coordinates[one] - cloud.coordinates[other], axis=1)
    assert np.allclose(cloud.edge_weight, np.exp(-(distance**2) / 0.1)) and distance.max() <= 0.2


def test_a_graph_as_an_operator_takes_it() -> None:
    cloud = point_cloud("ring")
    graphs = cloud.with_signals(torch.ones(64, 3))
    assert graphs.sizes.tolist() == [64] and graphs.weights.dtype == torch.float32


def test_what_is_missing_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no graph cow; expected one of grid2d, ring"):
        point_cloud("cow")
    monkeypatch.setattr(point_clouds, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install pygsp"):
        point_cloud("airfoil")
