"""`make bench`: seconds a seed and epoch of training, ours beside a plain PyG loop, in one run on one core.

The two take turns, so that a machine whose speed drifts treats both alike; the ratio is taken turn by turn.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from rethinking.composition import compose_job
from rethinking.config import Cell
from rethinking.data.dataset import GraphDataset
from rethinking.data.load import load
from rethinking.models.layers import initialise
from rethinking.runs.provenance import hardware
from rethinking.training.group import ReplicaGroup
from rethinking.training.memory import keep_freed_memory
from scripts.pyg_reference import PyGGraclus, to_pyg, train_epochs

Epoch = Callable[[], float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="nci1")
    parser.add_argument("--pooling", default="learned")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 20], help="default: 1 20")
    parser.add_argument("--turns", type=int, default=3)
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    job = compose_job(["model=graclus", f"pooling={parsed.pooling}", f"dataset={parsed.dataset}"])
    dataset = load(job.cell.dataset, job.places)
    load_before = os.getloadavg()[0]
    peer = _pyg(job.cell, dataset)
    console = Console(highlight=False)
    batch_size = job.cell.trainer.batch_size
    table = Table("seeds together", "ours, s", "plain PyG, s", "ratio", "lowest … highest")
    for replicas in parsed.replicas:
        ours = _ours(job.cell, dataset, replicas)
        for warm_up in (ours, peer):
            warm_up()
        turns = [(ours() / replicas, peer()) for _ in range(parsed.turns)]
        ratios = sorted(theirs / mine for mine, theirs in turns)
        table.add_row(
            str(replicas),
            f"{statistics.median(mine for mine, _ in turns):.3f}",
            f"{statistics.median(theirs for _, theirs in turns):.3f}",
            f"{statistics.median(ratios):.1f}×",
            f"{ratios[0]:.1f} … {ratios[-1]:.1f}",
        )
    console.print(f"Training, seconds a seed and epoch: {job.cell.title}, batch size {batch_size}, one core")
    console.print(table)
    console.print(
        f"{hardware(torch.device('cpu'))['device_name']}, {os.cpu_count()} cores, load {load_before:.1f} before and "
        f"{os.getloadavg()[0]:.1f} after; Python {platform.python_version()}, torch {torch.__version__}"
    )


def _ours(cell: Cell, dataset: GraphDataset, replicas: int) -> Epoch:
    """A training epoch of the replica engine."""
    seeds = range(replicas)
    task, splitter = cell.task(), cell.splitter()
    network = cell.build(dataset, task)(replicas)
    initialise(network, seeds)
    splits = [splitter(dataset, seed) for seed in seeds]
    group = ReplicaGroup(network, dataset, splits, seeds, task, cell.trainer, torch.device("cpu"))
    epochs = iter(range(1, 1_000_000))
    return lambda: _seconds(lambda: group.train(next(epochs)))


def _pyg(cell: Cell, dataset: GraphDataset) -> Epoch:
    """A training epoch of the plain loop, on the split of seed 0."""
    torch.manual_seed(0)
    graphs = to_pyg(dataset)
    train = [graphs[graph] for graph in cell.splitter()(dataset, 0).train]
    network = cell.build(dataset, cell.task())(1)
    shape = {name: cell.network[name] for name in ("layers", "hidden")}
    model = PyGGraclus(dataset.in_features, dataset.classes, network.select, **shape)
    epochs = train_epochs(model, train, cell.trainer.batch_size, cell.trainer.learning_rate)
    return lambda: _seconds(lambda: next(epochs))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
