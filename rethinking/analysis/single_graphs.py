"""The scores of single test graphs, from the predictions of finished runs, and their differences between two cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rethinking.analysis.cells import StoredCell
from rethinking.analysis.known import known_task
from rethinking.analysis.tidy import Results
from rethinking.tasks.task import Task


@dataclass(frozen=True)
class GraphScores:
    """What each test graph contributes to the score of a cell's runs, in the metric's own unit.

    by_seed: the numbers of a run's test graphs, in increasing order, and their scores.
    """

    by_seed: Mapping[int, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class GraphDifferences:
    """Differences of graphs that both cells were tested on with the same seed, seed after seed.

    difference, graph, seed: [N]; the last two as places in lists of all graphs and seeds. ends: [K], where the graphs
    of each seed end.
    """

    difference: np.ndarray
    graph: np.ndarray
    seed: np.ndarray
    ends: np.ndarray

    def first(self, seeds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Difference, graph and seed of the first seeds, as `clustered` takes them."""
        end = int(self.ends[seeds - 1])
        return self.difference[:end], self.graph[:end], self.seed[:end]


def graph_scores(results: Results, cell: StoredCell) -> GraphScores | None:
    """Of all runs of a cell that have predictions; None if none has, or its task is none that `conf` names.

    Kept, as a cell is in several comparisons.
    """
    key = f"graph scores of {cell.id}"
    if key not in results.kept:
        results.kept[key] = _graph_scores(results, cell)
    return results.kept[key]


def _graph_scores(results: Results, cell: StoredCell) -> GraphScores | None:
    task = _task(cell)
    if task is None:
        return None
    frame = results.predictions(cell.id)
    frame = frame[(frame["part"] == "test").to_numpy()]
    if frame.empty:
        return None
    columns = {str(name): frame[name].to_numpy() for name in frame if name != "part"}
    order = np.lexsort((columns["graph"], columns["seed"]))
    columns = {name: column[order] for name, column in columns.items()}
    seeds, starts = np.unique(columns["seed"], return_index=True)
    by_seed: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for seed, start, end in zip(seeds, starts, [*starts[1:], len(order)], strict=True):
        scores = _scores(task, {name: column[start:end] for name, column in columns.items()})
        if scores is not None:
            by_seed[int(seed)] = columns["graph"][start:end], scores
    return GraphScores(by_seed) if by_seed else None


def counted_graphs(results: Results, first: StoredCell, second: StoredCell, seeds: Sequence[int]) -> int:
    """How many test graphs two cells have in common, where scores count graphs; else 0, or if there are no predictions.

    By the first of the seeds of which both have predictions: each seed tests on as many graphs.
    """
    tasks = _task(first), _task(second)
    if not all(task is not None and task.counts_graphs for task in tasks):
        return 0
    for seed in seeds:
        a, b = (_tested(results, cell, seed) for cell in (first, second))
        if len(a) and len(b):
            return len(np.intersect1d(a, b))
    return 0


def _tested(results: Results, cell: StoredCell, seed: int) -> np.ndarray:
    """The numbers of a run's test graphs; none without predictions. Kept, as a cell is in several comparisons."""
    key = f"test graphs of {cell.id}, seed {seed}"
    if key not in results.kept:
        results.kept[key] = results.tested(cell.id, seed)
    return results.kept[key]


def _task(cell: StoredCell) -> Task | None:
    """The task whose scores a cell's runs have; None without predictions, or if it is none that `conf` names."""
    task = known_task(cell.config["dataset"]["task"]["_target_"])
    return None if cell.older or task is None or task.metric != cell.measure.metric else task


def graph_differences(
    first: GraphScores, second: GraphScores, seeds: Sequence[int], scale: float
) -> GraphDifferences | None:
    """First minus second, times scale, for those of the seeds that both have; None if there are fewer than two."""
    graphs, differences = [], []
    for seed in seeds:
        if seed in first.by_seed and seed in second.by_seed:
            (a_graphs, a), (b_graphs, b) = first.by_seed[seed], second.by_seed[seed]
            if not np.array_equal(a_graphs, b_graphs):
                common, of_a, of_b = np.intersect1d(a_graphs, b_graphs, assume_unique=True, return_indices=True)
                a_graphs, a, b = common, a[of_a], b[of_b]
            if len(a_graphs):
                graphs.append(a_graphs)
                differences.append(scale * (a - b))
    if len(graphs) < 2:
        return None
    sizes = np.array([len(some) for some in graphs])
    _, graph = np.unique(np.concatenate(graphs), return_inverse=True)
    return GraphDifferences(
        np.concatenate(differences), graph, np.repeat(np.arange(len(sizes)), sizes), np.cumsum(sizes)
    )


def _scores(task: Task, columns: dict[str, np.ndarray]) -> np.ndarray | None:
    """Of one run; None if they cannot be said."""
    scores = task.graph_scores(columns)
    return scores if scores is not None and np.isfinite(scores).all() else None
