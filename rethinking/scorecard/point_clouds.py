"""The graphs of the single-graph experiments: points in the plane or in space, joined by weighted edges.

They are those of PyGSP 0.5.1, which Grattarola et al. 2022 used. Of three, PyGSP ships the points in a file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import get_method
from torch import Tensor

from rethinking.errors import UserError
from rethinking.pooling.operators.interface import Graphs
from rethinking.scorecard.settings import section


@dataclass(frozen=True, eq=False)
class PointCloud:
    """coordinates: [N, d]. edge_index: int64 [2, E], each edge in both directions. edge_weight: [E]."""

    coordinates: np.ndarray
    edge_index: np.ndarray
    edge_weight: np.ndarray

    @property
    def nodes(self) -> int:
        """N."""
        return len(self.coordinates)

    def with_signals(self, x: Tensor) -> Graphs:
        """The graph as an operator takes it. x: [N, F], one signal a column."""
        edge_index, weight = torch.from_numpy(self.edge_index), torch.from_numpy(self.edge_weight)
        batch = torch.zeros(self.nodes, dtype=torch.long)
        return Graphs(x, edge_index.to(x.device), weight.to(x), batch.to(x.device), 1)


def point_cloud(name: str) -> PointCloud:
    """The graph of this name in `conf/scorecard.yaml`. Raises UserError if there is none, or its file is missing."""
    known = section("graphs")
    if name not in known:
        raise UserError(f"There is no graph {name}; expected one of {', '.join(known)}.")
    target, arguments = known[name].pop("_target_"), known[name]
    return get_method(target)(**arguments)


def grid(rows: int, columns: int) -> PointCloud:
    """A grid in the unit square, its first row on top, with weights of 1."""
    number = np.arange(rows * columns).reshape(rows, columns)
    one = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    other = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    row, column = np.divmod(number.ravel(), columns)
    coordinates = np.stack([column / columns, (rows - 1 - row) / rows], axis=1)
    return _undirected(coordinates, one, other, 1.0)


def ring(nodes: int) -> PointCloud:
    """A cycle on the unit circle, with weights of 1."""
    number = np.arange(nodes)
    angle = 2 * np.pi * number / nodes
    return _undirected(np.stack([np.cos(angle), np.sin(angle)], axis=1), number, (number + 1) % nodes, 1.0)


def sensor(nodes: int, neighbours: int, seed: int) -> PointCloud:
    """Random points of the unit square, each joined to its nearest ones, as PyGSP 0.6.1 makes them.

    Weights are exp(−d²/σ), d the distance and σ its mean, halved where only one is among the nearest of the other.
    Version 0.5.1 drew other graphs, and without a seed: the one of the publication cannot be had.
    """
    from scipy.spatial import KDTree

    coordinates = np.random.default_rng(seed).uniform(0, 1, (nodes, 2))
    distance, nearest = (found[:, 1:] for found in KDTree(coordinates).query(coordinates, neighbours + 1))
    weight = np.exp(-np.square(distance) / distance.mean()) / 2
    return _undirected(coordinates, np.repeat(np.arange(nodes), neighbours), nearest.ravel(), weight.ravel())


def bunny(radius: float, width: float) -> PointCloud:
    """Stanford's bunny as PyGSP 0.5.1 made it: points nearer than `radius` are joined, with weights exp(−d²/width).

    Coordinates are centred and scaled so that the half diagonal of the box around them is N^⅓/10. Version 0.6.1 leaves
    them as they are in the file, 10.9 times smaller, and joins others.
    """
    from scipy.spatial import KDTree

    points = _shipped("bunny", ["bunny"])["bunny"].astype(float)
    half_diagonal = np.linalg.norm(points.max(axis=0) - points.min(axis=0)) / 2
    coordinates = (points - points.mean(axis=0)) * len(points) ** (1 / 3) / 10 / half_diagonal
    one, other = KDTree(coordinates).query_pairs(radius, output_type="ndarray").T
    squared = np.square(coordinates[one] - coordinates[other]).sum(axis=1)
    return _undirected(coordinates, one, other, np.exp(-squared / width))


def minnesota() -> PointCloud:
    """The roads of Minnesota, with weights of 1 and the edge that PyGSP adds so that all are connected."""
    from scipy.sparse import coo_array

    file = _shipped("minnesota", ["A", "xy"])
    roads = coo_array(file["A"])
    one, other = np.append(roads.row, 348), np.append(roads.col, 354)
    # The file has each road both ways, and some of them twice.
    one, other = np.unique(np.sort([one, other], axis=0), axis=1)
    return _undirected(file["xy"], one, other, 1.0)


def airfoil() -> PointCloud:
    """A mesh around an aeroplane's wing, with weights of ½."""
    file = _shipped("airfoil", ["x", "y", "i_inds", "j_inds"])
    one, other = (file[name].ravel().astype(np.int64) - 1 for name in ("i_inds", "j_inds"))
    return _undirected(np.concatenate([file["x"], file["y"]], axis=1), one, other, 0.5)


def _undirected(coordinates: np.ndarray, one: np.ndarray, other: np.ndarray, weight: float | np.ndarray) -> PointCloud:
    """Both directions of each edge; those that are named twice have the sum of the weights."""
    from scipy.sparse import coo_array

    nodes = len(coordinates)
    both = np.concatenate([one, other]), np.concatenate([other, one])
    matrix = coo_array((np.tile(np.broadcast_to(weight, len(one)), 2), both), shape=(nodes, nodes))
    matrix.sum_duplicates()
    edge_index = np.stack([matrix.row, matrix.col]).astype(np.int64)
    return PointCloud(np.asarray(coordinates, dtype=float), edge_index, matrix.data)


def _shipped(name: str, arrays: Sequence[str]) -> dict[str, Any]:
    """Some arrays of a file that PyGSP ships; it is read as data, and PyGSP itself is not imported."""
    from scipy.io import loadmat

    package = find_spec("pygsp")
    if package is None or package.origin is None:
        raise UserError(f"The graph {name} comes with PyGSP, which is missing; `pip install pygsp==0.6.1` installs it.")
    file = Path(package.origin).parent / "data" / "pointclouds" / f"{name}.mat"
    try:
        return loadmat(file, variable_names=arrays)
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); `pip install --force-reinstall pygsp==0.6.1`.") from error
