"""`make bench`: seconds a seed of training, ours beside plain PyG loops, in one run on one core.

The two take turns, so that a machine whose speed drifts treats both alike; the ratio is taken turn by turn.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

import torch
from rich.console import Console
from rich.table import Table

from rethinking.configuration.cell import Cell
from rethinking.configuration.composition import compose_job
from rethinking.configuration.settings import Settings
from rethinking.data.dataset import GraphDataset
from rethinking.data.load import load
from rethinking.data.split import Split
from rethinking.layers.initial import initialise
from rethinking.models.inputs import DataShape
from rethinking.operators import use_threads
from rethinking.randomness import stream
from rethinking.runs.provenance import hardware
from rethinking.training.group import ReplicaGroup
from rethinking.training.memory import keep_freed_memory
from tests.peers import FAMILIES, make_peer, to_pyg, train_epochs

Epoch = Callable[[], float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=FAMILIES, default=FAMILIES, help="default: all")
    parser.add_argument("--dataset", default="nci1", help="one that is classified; default: nci1")
    parser.add_argument("--pooling", default="learned", help="of Graclus; the other peers have their own Select only")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 20], help="default: 1 20")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100, help="an epoch is cut to so many steps; default: 100")
    parsed = parser.parse_args()
    use_threads(1)
    keep_freed_memory()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    load_before = os.getloadavg()[0]
    console = Console(highlight=False)
    table = Table("family", "seeds together", "ours, s", "plain PyG, s", "ratio", "lowest … highest")
    for model in parsed.models:
        job = _job(model, parsed.pooling, parsed.dataset)
        for replicas, row in _compare(job, parsed.replicas, parsed.turns, parsed.steps):
            table.add_row(job.cell.family, str(replicas), *row)
    console.print(
        f"Training on {parsed.dataset}, one core, each family at its batch size: seconds a seed and epoch, an epoch "
        f"cut to {parsed.steps} steps where it has more; the median of {parsed.turns} turns"
    )
    console.print(table)
    console.print(
        f"{hardware(torch.device('cpu'))['device_name']}, {os.cpu_count()} cores, load {load_before:.1f} before and "
        f"{os.getloadavg()[0]:.1f} after; Python {platform.python_version()}, torch {torch.__version__}"
    )


def _job(model: str, pooling: str, dataset: str) -> Settings:
    variant = {"graclus": pooling, "global_mean": "none"}.get(model, "learned")
    return compose_job([f"model={model}", f"pooling={variant}", f"dataset={dataset}"])


def _compare(job: Settings, group_sizes: Sequence[int], turns: int, steps: int) -> list[tuple[int, list[str]]]:
    """The columns from `ours` on for each number of replicas."""
    dataset = load(job.cell.dataset, job.places)
    peer = _pyg(job.cell, dataset, steps)
    rows = []
    for replicas in group_sizes:
        ours = _ours(job.cell, dataset, replicas, steps)
        for warm_up in (ours, peer):
            warm_up()
        pairs = [(ours() / replicas, peer()) for _ in range(turns)]
        ratios = sorted(theirs / mine for mine, theirs in pairs)
        columns = [
            f"{statistics.median(mine for mine, _ in pairs):.3f}",
            f"{statistics.median(theirs for _, theirs in pairs):.3f}",
            f"{statistics.median(ratios):.1f}×",
            f"{ratios[0]:.1f} … {ratios[-1]:.1f}",
        ]
        rows.append((replicas, columns))
    return rows


def _ours(cell: Cell, dataset: GraphDataset, replicas: int, steps: int) -> Epoch:
    """A training epoch of the replica engine."""
    seeds = range(replicas)
    task = cell.task()
    network = cell.build(dataset, task)(replicas)
    initialise(network, seeds)
    splits = [_cut(cell, dataset, seed, steps) for seed in seeds]
    group = ReplicaGroup(network, dataset, splits, seeds, task, cell.trainer, torch.device("cpu"))
    # Ordinary epochs only, as the peer's.
    epochs = (epoch for epoch in count(1) if group.phase(epoch).losses is None)
    return lambda: _seconds(lambda: group.train(next(epochs)))


def _pyg(cell: Cell, dataset: GraphDataset, steps: int) -> Epoch:
    """A training epoch of the plain loop, on the split of seed 0."""
    torch.manual_seed(0)
    graphs = to_pyg(dataset)
    train = [graphs[graph] for graph in _cut(cell, dataset, 0, steps).train]
    model = make_peer(cell, DataShape(dataset.in_features, dataset.classes, int(dataset.sizes.max())))
    epochs = train_epochs(model, train, cell.trainer)
    return lambda: _seconds(lambda: next(epochs))


def _cut(cell: Cell, dataset: GraphDataset, seed: int, steps: int) -> Split:
    """The seed's split, with as many of its training graphs as fill the steps."""
    split = cell.splitter()(dataset, seed)
    train = stream(seed, "bench").permutation(split.train)[: steps * cell.trainer.batch_size]
    return replace(split, train=train)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
