"""Made-up data sets on which two variants are compared, with a true difference that is known: for `calibration.py`.

A graph g is classified rightly by variant v with seed s if

    α_v + u_g + w_vg + b_vs + t_vs + ε_gs + ε_vgs > 0,

with normal effects of the graph, of the graph for a variant, of the seed, of the training set, and noise of variance 1,
a part of which the variants share. t_vs sums what each graph of the training set does for a variant. α is such that the
true difference is what is asked for.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from rethinking.analysis.single_graphs import GraphDifferences


@dataclass(frozen=True)
class Kind:
    """graphs: in the data set. tested: a seed. accuracy: of the first variant. The rest are standard deviations.

    graph: u. variant: w_1g − w_2g. seed: b, and training: t, where seeds split the graphs anew; if training is 0, the
    first graphs are the test set of every seed. shared: of the noise's variance.
    """

    graphs: int
    tested: int
    accuracy: float
    graph: float
    variant: float
    shared: float
    seed: float
    training: float

    @property
    def by_seed(self) -> float:
        """The variance of what changes with the seed alone."""
        return self.seed**2 + self.training**2


@dataclass(frozen=True)
class Population:
    """One data set of a kind. skill: [2, G], α + u + w. pull: [2, G], what a graph does for training.

    here: the true difference on these graphs, beyond: on all graphs of the kind; in points, the second minus the first.
    """

    kind: Kind
    skill: np.ndarray
    pull: np.ndarray
    here: float
    beyond: float


def populate(kind: Kind, beyond: float, rng: np.random.Generator, here: float | None = None) -> Population:
    """A data set on which the true difference is `beyond` on all graphs of its kind, or `here` on its own."""
    graphs = kind.graphs
    own = kind.graph * rng.standard_normal(graphs) + kind.variant / math.sqrt(2) * rng.standard_normal((2, graphs))
    spread = math.sqrt(1 + kind.graph**2 + kind.variant**2 / 2 + kind.by_seed)
    rights = np.array([kind.accuracy, kind.accuracy + beyond / 100])
    skill = spread * ndtri(rights)[:, None] + own
    scale = math.sqrt(1 + kind.by_seed)
    if here is not None:
        target = ndtr(skill[0] / scale).mean() + here / 100
        for _ in range(4):  # Newton's steps for the α of the second
            z = skill[1] / scale
            slope = np.exp(-(z**2) / 2).mean() / math.sqrt(2 * math.pi) / scale
            skill[1] += (target - ndtr(z).mean()) / slope
    true = ndtr(skill / scale).mean(axis=1)
    pull = rng.standard_normal((2, graphs))
    pull -= pull.mean(axis=1, keepdims=True)
    # A fifth of the graphs is held out: var t = 0.2 · 0.8 · G · var pull.
    pull *= kind.training / math.sqrt(0.16 * graphs)
    return Population(kind, skill, pull, float(100 * (true[1] - true[0])), beyond)


def splits(kind: Kind, seeds: int, rng: np.random.Generator) -> np.ndarray:
    """The graphs that each seed holds out, first its test set, then as many for validation. [seeds, 2 × tested]."""
    if not kind.training:
        return np.tile(np.arange(kind.tested), (seeds, 1))
    keys = rng.random((seeds, kind.graphs), dtype=np.float32)
    return np.argpartition(keys, (kind.tested, 2 * kind.tested), axis=1)[:, : 2 * kind.tested]


def compare_on(population: Population, held_out: np.ndarray, rng: np.random.Generator) -> GraphDifferences:
    """What both variants get right with these splits: the second minus the first, in points."""
    kind, tested = population.kind, held_out[:, : population.kind.tested]
    seeds = len(held_out)
    shared = math.sqrt(kind.shared) * rng.standard_normal(tested.shape, dtype=np.float32)
    right = []
    for variant in range(2):
        own = math.sqrt(1 - kind.shared) * rng.standard_normal(tested.shape, dtype=np.float32)
        by_seed = kind.seed * rng.standard_normal(seeds)
        if kind.training:
            by_seed = by_seed - population.pull[variant][held_out].sum(axis=1)
        right.append(population.skill[variant][tested] + by_seed[:, None] + shared + own > 0)
    difference = 100.0 * (right[1].astype(np.float64) - right[0])
    seed = np.repeat(np.arange(seeds), kind.tested)
    ends = kind.tested * np.arange(1, seeds + 1)
    return GraphDifferences(difference.ravel(), tested.ravel(), seed, ends)


def by_seed(graphs: GraphDifferences) -> np.ndarray:
    """The difference of each seed's scores, [K]."""
    return graphs.difference.reshape(len(graphs.ends), -1).mean(axis=1)
