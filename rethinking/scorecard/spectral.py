"""What an operator keeps of a graph's structure: how smooth signals are on the graph before and after pooling.

Experiment 2 of Grattarola et al. 2022 ("Understanding pooling in graph neural networks"), as the released code has it:
the text has squares of differences and no coordinates among the signals.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from rethinking.pooling.operators.interface import Coarse, Graphs, over_edges
from rethinking.scorecard.fit import Fit, Resumable, fit, seeded
from rethinking.scorecard.making import MakeOperator, make_operator
from rethinking.scorecard.point_clouds import PointCloud
from rethinking.scorecard.settings import SpectralSettings


@dataclass(frozen=True, eq=False)
class Structure:
    """distance: between the graphs before and after. density, median: of the pooled graph, see `density`."""

    distance: float
    density: float
    median: float
    coarse: Coarse
    fit: Fit


def compare_structure(
    make: MakeOperator,
    cloud: PointCloud,
    x: Tensor,
    settings: SpectralSettings,
    seed: int,
    kept: Resumable | None = None,
) -> Structure:
    """Pool the signals x on a graph, and see how far they are as smooth as before.

    x: [N, F], see `signals`. An operator with parameters is trained for that, with its own losses beside.
    kept: see `fit`.
    Raises ValueError, with one sentence, if it gives other features than its own clusters' of these signals.
    """
    with seeded(seed, "spectral"):
        pool = make_operator(make, x.shape[1], settings.ratio, [cloud.nodes])
        graphs = cloud.with_signals(x)
        before = quadratic_forms(x, partial(over_edges, graphs))

        def losses() -> tuple[Tensor, Tensor]:
            clusters = pool.without_edges(graphs)
            main = distance(before, _smoothness(clusters.x, clusters.neighbours, x.shape[1]), settings.squared)
            return main, sum(clusters.losses.values(), x.new_zeros(()))

        trained = fit(pool, losses, settings.fit, kept)
        with torch.no_grad():
            coarse = pool(graphs)
            after = _smoothness(coarse.graphs.x, partial(over_edges, coarse.graphs), x.shape[1])
            found = distance(before, after, settings.squared)
    return Structure(float(found), *density(coarse.graphs, settings.threshold), coarse, trained)


def signals(cloud: PointCloud, eigenvectors: int) -> Tensor:
    """Coordinates and the eigenvectors of the Laplacian with the smallest eigenvalues. Returns [N, d + eigenvectors].

    Coordinates are centred, divided by the largest of them, and each column by its length. Where eigenvalues are equal,
    as on a ring, their eigenvectors are any basis.
    """
    from scipy.linalg import eigh

    x = cloud.coordinates - cloud.coordinates.mean(axis=0)
    x = x / np.abs(x).max()
    x = x / np.linalg.norm(x, axis=0)
    matrix = _laplacian(cloud.with_signals(torch.from_numpy(x)))
    _, vectors = eigh(matrix.numpy(), subset_by_index=[0, eigenvectors - 1])
    return torch.from_numpy(np.concatenate([x, vectors], axis=1)).to(torch.get_default_dtype())


def distance(before: Tensor, after: Tensor, squared: bool) -> Tensor:
    """(1/F) Σ_i |x_iᵀ L x_i − x'_iᵀ L' x'_i|, or of the squares. before, after: [F], see `quadratic_forms`."""
    difference = before - after
    return (difference.square() if squared else difference.abs()).mean()


def quadratic_forms(x: Tensor, neighbours: Callable[[Tensor], Tensor]) -> Tensor:
    """x_iᵀ L x_i for each signal, with L = D − A. x: [N, F]. neighbours: A Y of any Y, see `Clusters`. Returns [F]."""
    over = neighbours(torch.cat([x, x.new_ones(len(x), 1)], dim=1))
    return (x * (over[:, -1:] * x - over[:, :-1])).sum(dim=0)


def density(graphs: Graphs, threshold: float) -> tuple[float, float]:
    """The share of all K² pairs that are edges above a weight, loops aside, and the median weight of these.

    The median is NaN where there are none.
    """
    weights = _adjacency(graphs).fill_diagonal_(0).flatten()
    edges = weights[weights > threshold].double().numpy()
    return len(edges) / len(weights), float(np.median(edges)) if len(edges) else math.nan


def spectrum(graphs: Graphs) -> np.ndarray:
    """The eigenvalues of D^−½ L D^−½ of one graph, ascending; a node without edges has a row of zeros. Returns [K]."""
    adjacency = _adjacency(graphs).double().numpy()
    degree = adjacency.sum(axis=1)
    scale = np.where(degree > 0, 1 / np.sqrt(np.where(degree > 0, degree, 1)), 0)
    return np.linalg.eigvalsh(scale[:, None] * (np.diag(degree) - adjacency) * scale)


def _smoothness(x: Tensor, neighbours: Callable[[Tensor], Tensor], width: int) -> Tensor:
    if x.shape[1] != width:
        raise ValueError(f"the operator gives {x.shape[1]} features for {width} signals; expected each signal pooled")
    return quadratic_forms(x, neighbours)


def _laplacian(graphs: Graphs) -> Tensor:
    adjacency = _adjacency(graphs)
    return torch.diag(adjacency.sum(dim=1)) - adjacency


def _adjacency(graphs: Graphs) -> Tensor:
    """A of one graph, [N, N]; soft clusters are nearly all joined, so as a dense matrix."""
    nodes = len(graphs.x)
    weight = graphs.weights.to(graphs.x)
    return weight.new_zeros(nodes, nodes).index_put(tuple(graphs.edge_index), weight, accumulate=True)
