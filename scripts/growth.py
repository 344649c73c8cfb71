"""`make growth`: how the time of an epoch grows with seeds together, batch size, width, graphs and their nodes.

One of them is changed at a time, on random graphs of one size, so that nothing else changes with it. What is measured
is kept in results/benchmarks/growth.csv and drawn as docs/growth.png and .svg.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch

from rethinking.analysis.figures.picture import MARKERS, Picture, save, style
from rethinking.configuration.composition import compose_job
from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.data.split import Split
from rethinking.layers.initial import initialise
from rethinking.progress import track
from rethinking.training.group import ReplicaGroup
from scripts.machine import BENCHMARKS, conditions, keep, seconds, use_one_core

TABLE = BENCHMARKS / "growth.csv"
FAMILIES = ("graclus", "diffpool", "gmn", "mincut")
KEYS = ("family", "axis", "value", "device")
NEIGHBOURS, FEATURES, CLASSES = 4, 10, 2
FITTED = 3  # of the largest values, where what a step costs beside its arithmetic no longer counts


@dataclass(frozen=True)
class Size:
    """What is changed, one at a time. hidden: the width of the network's convolutions."""

    seeds: int = 10
    batch: int = 16
    hidden: int = 64
    graphs: int = 500
    nodes: int = 30


AXES = {
    "seeds": ("seeds together", (1, 2, 5, 10, 20, 40)),
    "batch": ("graphs in a batch", (4, 8, 16, 32, 64, 128)),
    "hidden": ("hidden width", (16, 32, 64, 128, 256)),
    "graphs": ("graphs", (125, 250, 500, 1000, 2000)),
    "nodes": ("nodes of a graph", (10, 20, 40, 80, 160, 320)),
}


def main() -> None:
    """Measure, keep and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=FAMILIES, default=FAMILIES, help="default: all")
    parser.add_argument("--quick", action="store_true", help="every other value, a quarter of the graphs")
    parser.add_argument("--to", type=Path, default=TABLE, help=f"default: {TABLE}")
    parser.add_argument("--figure", type=Path, default=Path("docs"), help="its folder; default: docs")
    parser.add_argument("--render", action="store_true", help="draw what has been measured before")
    parsed = parser.parse_args()
    if parsed.render:
        measured = pd.read_csv(parsed.to)
    else:
        use_one_core()
        points = [(family, axis, value) for family in parsed.models for axis in AXES for value in AXES[axis][1]]
        base = Size()
        if parsed.quick:
            base = replace(base, graphs=base.graphs // 4)
            points = [point for point in points if point[2] in AXES[point[1]][1][::-2]]
        rows = [_measured(family, axis, value, base) for family, axis, value in track(points, "growth")]
        measured = keep(rows, parsed.to, KEYS)
    exponents = pd.Series({key: exponent(points) for key, points in measured.groupby(["family", "axis"])})
    print(exponents.unstack()[list(AXES)].round(2).to_string())
    for file in save(Picture(draw(measured, exponents), ""), parsed.figure, "growth"):
        print(f"{file} is written.")


def _measured(family: str, axis: str, value: int, base: Size) -> dict[str, Any]:
    size = replace(base, **{axis: value})
    return {"family": family, "axis": axis, "value": value, "seconds": _epoch(family, size), **conditions()}


def _epoch(family: str, size: Size) -> float:
    """Seconds a seed of a training epoch."""
    overrides = [f"model.hidden={size.hidden}", f"trainer.batch_size={size.batch}"]
    cell = compose_job([f"model={family}", "pooling=learned", "dataset=nci1", *overrides]).cell
    dataset, task = random_graphs(size.graphs, size.nodes), cell.task()
    network = cell.build(dataset, task)(size.seeds)
    initialise(network, range(size.seeds))
    everything = np.arange(size.graphs)
    few = Split(everything[: 2 * size.batch], everything[:1], everything[:1])
    group = ReplicaGroup(
        network, dataset, [few] * size.seeds, range(size.seeds), task, cell.trainer, torch.device("cpu")
    )
    group.train(1)
    group.splits = [replace(few, train=everything)] * size.seeds
    return seconds(lambda: group.train(1)) / size.seeds


def random_graphs(graphs: int, nodes: int) -> GraphDataset:
    """Graphs of one size, each node joined to some others at random."""
    rng = np.random.default_rng(0)
    first = np.repeat(np.arange(graphs) * nodes, nodes)
    source = np.tile(np.arange(graphs * nodes), NEIGHBOURS // 2)
    step = rng.integers(1, nodes, len(source))
    place = np.tile(first, NEIGHBOURS // 2)
    target = place + (source - place + step) % nodes
    edges = np.concatenate([np.stack([source, target]), np.stack([target, source])], axis=1)
    edges = np.unique(edges, axis=1)
    x = rng.standard_normal((graphs * nodes, FEATURES)).astype(np.float32)
    return build_dataset("random", first // nodes, edges, x, np.arange(graphs) % CLASSES)


def exponent(points: pd.DataFrame) -> float:
    """b in seconds = a · value^b, fitted to the largest values."""
    largest = points.sort_values("value").tail(FITTED)
    return float(np.polyfit(np.log(largest["value"]), np.log(largest["seconds"]), 1)[0])


def draw(measured: pd.DataFrame, exponents: pd.Series) -> plt.Figure:
    """A panel for each of what is changed; beside each family its exponent."""
    families = [family for family in FAMILIES if family in set(measured["family"])]
    with style():
        figure, panels = plt.subplots(1, len(AXES), figsize=(3.2 * len(AXES), 3.6), sharey=True)
        colours = sns.color_palette("colorblind", len(FAMILIES))
        for panel, (axis, (title, _)) in zip(panels, AXES.items(), strict=True):
            for number, family in enumerate(families):
                points = measured[(measured.family == family) & (measured.axis == axis)].sort_values("value")
                label = f"{family}: {exponents[family, axis]:.2f}"
                colour, marker = colours[number], MARKERS[number]
                panel.loglog(points["value"], points["seconds"], color=colour, marker=marker, label=label)
            values = sorted(set(measured.loc[measured.axis == axis, "value"]))
            panel.set_xticks(values, [str(value) for value in values])
            panel.minorticks_off()
            panel.set_xlabel(title)
            panel.legend(fontsize="small", title="exponent", title_fontsize="small")
        panels[0].set_ylabel("seconds a seed and epoch, one core")
        figure.tight_layout()
    return figure


if __name__ == "__main__":
    main()
