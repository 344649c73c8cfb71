"""All measurements of a scorecard, each by its name: what an operator cannot do is said in one sentence."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from rethinking.errors import UserError
from rethinking.pooling.operators.interface import Assignment, Graphs
from rethinking.pooling.operators.sentences import in_words
from rethinking.scorecard.autoencoder import known, reconstruct
from rethinking.scorecard.card import COST, EXPRESSIVE, FEATURES, STRUCTURE, Drawn, Part, part_name
from rethinking.scorecard.cost import costs
from rethinking.scorecard.expressive import accuracy, row_sums
from rethinking.scorecard.fit import Resumable
from rethinking.scorecard.locality import locality
from rethinking.scorecard.making import MakeOperator
from rethinking.scorecard.point_clouds import PointCloud, point_cloud
from rethinking.scorecard.settings import CardSettings, CostSettings, DrawnSettings, ExpressiveSettings
from rethinking.scorecard.spectral import compare_structure, density, signals, spectrum


class Kept(Protocol):
    """Where the runs of a part are kept while they go on."""

    def of_run(self, run: int) -> Resumable:
        """Where this one is."""


# Called with what earlier runs came to, a part without values if there were none, and with where the next one may have
# got to. Gives the part after each run that is done, and so in the end the whole.
Measure = Callable[[MakeOperator, Part, Kept], Iterator[Part]]
# Digits of what is drawn.
DIGITS = 4

Values = dict[str, list[float]]


def measurements(settings: CardSettings) -> dict[str, Measure]:
    """Each part of a scorecard and the function that measures it.

    Raises UserError, before anything is measured, if a graph cannot be had.
    """
    names = dict.fromkeys([*settings.autoencoder.graphs, *settings.spectral.graphs])
    clouds = {name: point_cloud(name) for name in names}
    found: dict[str, Measure] = {}
    for name in settings.autoencoder.graphs:
        found[part_name(FEATURES, name)] = partial(features, cloud=clouds[name], settings=settings)
    for name in settings.spectral.graphs:
        found[part_name(STRUCTURE, name)] = partial(structure, cloud=clouds[name], settings=settings)
    if settings.expressive:
        found[EXPRESSIVE] = partial(expressive, settings=settings.expressive)
    if settings.cost:
        found[COST] = partial(cost, settings=settings.cost)
    return found


def measured(measure: Measure, make: MakeOperator, so_far: Part, kept: Kept) -> Iterator[Part]:
    """The part after each run, or in the end its problem in one sentence: operators of elsewhere may raise anything."""
    try:
        yield from measure(make, so_far, kept)
    except UserError:
        raise
    except (MemoryError, torch.OutOfMemoryError):
        yield Part(problem="there is not enough memory")
    except ValueError as error:
        yield Part(problem=str(error).strip().rstrip("."))
    except Exception as error:
        yield Part(problem=in_words(error))


def features(make: MakeOperator, so_far: Part, kept: Kept, cloud: PointCloud, settings: CardSettings) -> Iterator[Part]:
    """How well coordinates can be rebuilt, and of the clusters by which they were: how local, and the sums of rows."""
    values, drawn = so_far.values, so_far.drawn
    graphs = cloud.with_signals(torch.from_numpy(cloud.coordinates))
    for seed in range(so_far.runs, settings.autoencoder.runs):
        result = reconstruct(make, cloud, settings.autoencoder, seed, kept.of_run(seed))
        assignment = known(result.clusters)
        sums = row_sums(assignment, settings.tolerance)
        values = _with(
            values,
            {"mse": result.mse, "steps": result.fit.steps, "available": assignment.clusters}
            | locality(assignment, graphs)
            | {"least_sum": sums.least, "greatest_sum": sums.greatest, "constant_sums": float(sums.constant)},
        )
        if not drawn:
            drawn = {
                "graph": _drawn(graphs, cloud.coordinates, settings.drawn),
                "rebuilt": Drawn(_rounded(result.x.double().numpy())),
            }
        yield Part(values, drawn)


def structure(
    make: MakeOperator, so_far: Part, kept: Kept, cloud: PointCloud, settings: CardSettings
) -> Iterator[Part]:
    """How far the pooled graph is from the graph."""
    asked = settings.spectral
    values, drawn = so_far.values, so_far.drawn
    x = signals(cloud, asked.eigenvectors)
    graphs = cloud.with_signals(x)
    dense, median = density(graphs, asked.threshold)
    for seed in range(so_far.runs, asked.runs):
        result = compare_structure(make, cloud, x, asked, seed, kept.of_run(seed))
        found = {"distance": result.distance, "steps": result.fit.steps, "density": result.density,
                 "median_weight": result.median, "density_before": dense, "median_before": median}  # fmt: skip
        values = _with(values, found)
        if not drawn:
            coarse = result.coarse
            # Where clusters are not known, they lie where the pooled coordinates say.
            points = coarse.graphs.x[:, : cloud.coordinates.shape[1]].double().numpy()
            if coarse.assignment is not None:
                points = _centres(coarse.assignment, cloud.coordinates)
            drawn = {
                "graph": _drawn(graphs, cloud.coordinates, settings.drawn, with_spectrum=True),
                "pooled": _drawn(coarse.graphs, points, settings.drawn, with_spectrum=True),
            }
        yield Part(values, drawn)


def expressive(make: MakeOperator, so_far: Part, kept: Kept, settings: ExpressiveSettings) -> Iterator[Part]:
    """The accuracy on pairs of graphs that the Weisfeiler-Leman test tells apart."""
    values = so_far.values
    for seed in range(so_far.runs, settings.runs):
        found = accuracy(make, settings, seed)
        values = _with(values, {"test": found.test, "train": found.train})
        yield Part(values)


def cost(make: MakeOperator, so_far: Part, kept: Kept, settings: CostSettings) -> Iterator[Part]:
    """Time in seconds and memory in bytes of a step, a number a size; all sizes at once, so that they compare."""
    values: dict[str, list[float]] = {}
    for found in costs(make, settings):
        step = {"nodes": found.nodes, "first": found.first, "seconds": found.seconds, "memory": found.memory}
        values = _with(values, step)
    yield Part(values)


def _with(values: Values, more: Mapping[str, float]) -> Values:
    """With those of one run more."""
    return {name: [*values.get(name, []), float(value)] for name, value in more.items()}


def _centres(assignment: Assignment, coordinates: np.ndarray) -> np.ndarray:
    """Where a cluster's nodes lie on average, by how far they are in it; the centre of all for one without. [K, d]."""
    share = assignment.dense().abs().double().numpy()
    total = share.sum(axis=0)[:, None]
    return np.where(total > 0, share.T @ coordinates / np.where(total > 0, total, 1), coordinates.mean(axis=0))


def _drawn(graphs: Graphs, points: np.ndarray, settings: DrawnSettings, with_spectrum: bool = False) -> Drawn:
    """The heaviest edges, and the spectrum at evenly spaced ranks."""
    pairs, weight = _pairs(graphs.edge_index, graphs.weights)
    heaviest = np.argsort(-np.abs(weight), kind="stable")[: settings.edges]
    edges = [(int(pairs[0, e]), int(pairs[1, e]), float(f"{weight[e]:.{DIGITS}g}")) for e in heaviest]
    quantiles: list[float] = []
    if with_spectrum:
        found = spectrum(graphs)
        ranks = np.linspace(0, 1, min(settings.eigenvalues, len(found)))
        quantiles = _rounded(np.quantile(found, ranks))
    return Drawn(_rounded(points), edges, len(weight), quantiles)


def _pairs(edge_index: Tensor, weights: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Each pair of different nodes once, and the greatest weight in size of either direction, zero left out."""
    one, other = np.sort(edge_index.numpy(), axis=0)
    weight = weights.double().numpy()
    order = np.lexsort((-np.abs(weight), other, one))
    one, other, weight = one[order], other[order], weight[order]
    first = np.ones(len(one), dtype=bool)
    first[1:] = (np.diff(one) != 0) | (np.diff(other) != 0)
    kept = first & (one != other) & (weight != 0)
    return np.stack([one[kept], other[kept]]), weight[kept]


def _rounded(values: np.ndarray) -> list:
    return np.round(values, DIGITS).tolist()
