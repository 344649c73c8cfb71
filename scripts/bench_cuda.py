"""`python -m scripts.bench_cuda`: seconds a seed of training on a GPU, ours beside plain PyG loops on the same one.

Ours twice, with recorded steps and without. All take turns; the ratio to PyG is taken turn by turn.
"""

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import torch
from rich.console import Console
from rich.table import Table

from rethinking.configuration.composition import compose_job
from rethinking.configuration.settings import Settings
from rethinking.data.dataset import GraphDataset
from rethinking.data.load import load
from rethinking.data.split import Split
from rethinking.layers.initial import initialise
from rethinking.models.inputs import DataShape
from rethinking.operators import use_threads
from rethinking.randomness import stream
from rethinking.training.group import ReplicaGroup
from tests.peers import FAMILIES, make_peer, to_pyg, train_epochs

Epoch = Callable[[], object]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=FAMILIES, default=FAMILIES, help="default: all")
    parser.add_argument("--dataset", default="nci1", help="one that is classified; default: nci1")
    parser.add_argument("--replicas", type=int, default=20, help="default: 20")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100, help="an epoch is cut to so many steps; default: 100")
    parsed = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("torch finds no CUDA device, so there is nothing to measure; `make bench` is for the CPU.")
    use_threads(1)
    device, console = torch.device("cuda"), Console(highlight=False)
    table = Table("family", "recorded, s", "not recorded, s", "plain PyG, s", "ratio", "lowest … highest")
    for model in parsed.models:
        variant = "none" if model == "global_mean" else "learned"
        job = compose_job([f"model={model}", f"pooling={variant}", f"dataset={parsed.dataset}"])
        table.add_row(job.cell.family, *_row(job, parsed.replicas, parsed.turns, parsed.steps, device))
    console.print(
        f"Training on {parsed.dataset}, {parsed.replicas} seeds together: seconds a seed and epoch, an epoch cut to "
        f"{parsed.steps} steps where it has more; the median of {parsed.turns} turns"
    )
    console.print(table)
    console.print(
        f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}; Python {platform.python_version()}, torch "
        f"{torch.__version__}"
    )


def _row(job: Settings, replicas: int, turns: int, steps: int, device: torch.device) -> list[str]:
    """The columns after the family's name."""
    dataset = load(job.cell.dataset, job.places)
    ways = [_ours(job, dataset, replicas, steps, device, recorded) for recorded in (True, False)]
    ways.append(_pyg(job, dataset, steps, device))
    # The first epoch records a step of every shape.
    for warm_up in (*ways, *ways):
        warm_up()
    seeds = (replicas, replicas, 1)
    times = [[_seconds(way) / n for way, n in zip(ways, seeds, strict=True)] for _ in range(turns)]
    ratios = sorted(pyg / ours for ours, _, pyg in times)
    medians = [f"{statistics.median(column):.4f}" for column in zip(*times, strict=True)]
    return [*medians, f"{statistics.median(ratios):.1f}×", f"{ratios[0]:.1f} … {ratios[-1]:.1f}"]


def _ours(
    job: Settings, dataset: GraphDataset, replicas: int, steps: int, device: torch.device, recorded: bool
) -> Epoch:
    """A training epoch of the replica engine."""
    cell, seeds, task = job.cell, range(replicas), job.cell.task()
    network = cell.build(dataset, task)(replicas)
    initialise(network, seeds)
    splits = [_cut(job, dataset, seed, steps) for seed in seeds]
    group = ReplicaGroup(network.to(device), dataset, splits, seeds, task, cell.trainer, device)
    if not recorded:
        group._captured = None
    # Ordinary epochs only, as the peer's.
    epochs = (epoch for epoch in count(1) if group.phase(epoch).losses is None)
    return lambda: group.train(next(epochs))


def _pyg(job: Settings, dataset: GraphDataset, steps: int, device: torch.device) -> Epoch:
    """A training epoch of the plain loop, on the split of seed 0."""
    torch.manual_seed(0)
    graphs = to_pyg(dataset)
    train = [graphs[graph] for graph in _cut(job, dataset, 0, steps).train]
    shape = DataShape(dataset.in_features, dataset.classes, int(dataset.sizes.max()))
    epochs = train_epochs(make_peer(job.cell, shape).to(device), train, job.cell.trainer, device)
    return lambda: next(epochs)


def _cut(job: Settings, dataset: GraphDataset, seed: int, steps: int) -> Split:
    """The seed's split, with as many of its training graphs as fill the steps."""
    split = job.cell.splitter()(dataset, seed)
    train = stream(seed, "bench").permutation(split.train)[: steps * job.cell.trainer.batch_size]
    return replace(split, train=train)


def _seconds(work: Epoch) -> float:
    torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
