"""`make bench`: seconds a seed of training, ours beside plain PyG loops and beside the floor, in one run on one core.

Ours and PyG's take turns, so that a machine whose speed drifts treats both alike; the ratio is taken turn by turn. The
floor is the time of the necessary products alone (`scripts/floor.py`).
"""

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

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
from rethinking.randomness import stream
from rethinking.training.group import ReplicaGroup
from scripts.floor import products_of, rate
from scripts.machine import BENCHMARKS, conditions, keep, seconds, use_one_core
from tests.peers import FAMILIES, make_peer, to_pyg, train_epochs

Epoch = Callable[[], float]

TABLE = BENCHMARKS / "training.csv"
KEYS = ("dataset", "family", "pooling", "seeds together", "device")
COUNTED = 100  # graphs whose products are counted


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=FAMILIES, default=FAMILIES, help="default: all")
    parser.add_argument("--dataset", default="nci1", help="one that is classified; default: nci1")
    parser.add_argument("--pooling", default="learned", help="of Graclus; the other peers have their own Select only")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 20], help="default: 1 20")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100, help="an epoch is cut to so many steps; default: 100")
    parser.add_argument("--quick", action="store_true", help="20 seeds together only, one turn of 20 steps")
    parser.add_argument("--to", type=Path, default=TABLE, help=f"default: {TABLE}")
    parsed = parser.parse_args()
    if parsed.quick:
        parsed.replicas, parsed.turns, parsed.steps = [20], 1, 20
    use_one_core()
    rows = []
    for model in parsed.models:
        job = _job(model, parsed.pooling, parsed.dataset)
        rows += _compare(job, parsed.replicas, parsed.turns, parsed.steps)
    keep(rows, parsed.to, KEYS)
    print(
        f"Training on {parsed.dataset}, one core, each family at its batch size: seconds a seed and epoch, an epoch "
        f"cut to {parsed.steps} steps where it has more; the median of {parsed.turns} turns"
    )
    _print(rows)
    last = rows[-1]
    print(
        f"{last['device']}, {last['cores']} cores, load {rows[0]['load']} to {last['load']}; Python {last['python']}, "
        f"torch {last['torch']}. The floor: products alone, at this core's rate. Kept in {parsed.to}"
    )


def _print(rows: Sequence[dict[str, Any]]) -> None:
    table = Table("family", "seeds", "ours, s", "PyG, s", "PyG / ours", "floor, s", "ours / floor")
    for row in rows:
        table.add_row(
            row["family"],
            str(row["seeds together"]),
            f"{row['ours']:.3f}",
            f"{row['plain PyG']:.3f}",
            f"{row['PyG / ours']:.1f} ({row['lowest']:.1f} … {row['highest']:.1f})",
            f"{row['floor']:.4f}",
            f"{row['ours'] / row['floor']:.1f}",
        )
    Console(highlight=False, width=100).print(table)


def _job(model: str, pooling: str, dataset: str) -> Settings:
    variant = {"graclus": pooling, "global_mean": "none"}.get(model, "learned")
    return compose_job([f"model={model}", f"pooling={variant}", f"dataset={dataset}"])


def _compare(job: Settings, group_sizes: Sequence[int], turns: int, steps: int) -> list[dict[str, Any]]:
    """A row for each number of replicas; times in seconds."""
    cell, dataset = job.cell, load(job.cell.dataset, job.places)
    peer = _pyg(cell, dataset, steps)
    train = _cut(cell, dataset, 0, steps).train
    products = products_of(cell, dataset, train[:COUNTED])
    nodes = round(cell.trainer.batch_size * len(dataset.x) / len(dataset))
    rows = []
    for replicas in group_sizes:
        ours = _ours(cell, dataset, replicas, steps)
        for warm_up in (ours, peer):
            warm_up()
        turn_by_turn = [(ours() / replicas, peer(), rate(nodes, products.widths)) for _ in range(turns)]
        mine, theirs = (statistics.median(column) for column in list(zip(*turn_by_turn, strict=True))[:2])
        best = max(rate for _, _, rate in turn_by_turn)
        ratios = sorted(theirs / mine for mine, theirs, _ in turn_by_turn)
        rows.append(
            {
                "dataset": cell.dataset.name,
                "family": cell.family,
                "pooling": cell.variant,
                "seeds together": replicas,
                "batch size": cell.trainer.batch_size,
                "graphs": len(train),
                "ours": round(mine, 5),
                "plain PyG": round(theirs, 5),
                "PyG / ours": round(statistics.median(ratios), 2),
                "lowest": round(ratios[0], 2),
                "highest": round(ratios[-1], 2),
                "GFLOP": round(products.flops * len(train) / 1e9, 4),
                "GFLOP/s": round(best / 1e9, 1),
                "floor": round(products.flops * len(train) / best, 6),
                **conditions(),
            }
        )
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
    return lambda: seconds(lambda: group.train(next(epochs)))


def _pyg(cell: Cell, dataset: GraphDataset, steps: int) -> Epoch:
    """A training epoch of the plain loop, on the split of seed 0."""
    torch.manual_seed(0)
    graphs = to_pyg(dataset)
    train = [graphs[graph] for graph in _cut(cell, dataset, 0, steps).train]
    model = make_peer(cell, DataShape(dataset.in_features, dataset.classes, int(dataset.sizes.max())))
    epochs = train_epochs(model, train, cell.trainer)
    return lambda: seconds(lambda: next(epochs))


def _cut(cell: Cell, dataset: GraphDataset, seed: int, steps: int) -> Split:
    """The seed's split, with as many of its training graphs as fill the steps."""
    split = cell.splitter()(dataset, seed)
    train = stream(seed, "bench").permutation(split.train)[: steps * cell.trainer.batch_size]
    return replace(split, train=train)


if __name__ == "__main__":
    main()
