"""What the pooling of a trained network does: its assignments on test graphs, measured."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.analysis.locality import assignment_measures, hop_distances
from rethinking.data.batches import Batches
from rethinking.data.dataset import GraphDataset
from rethinking.models.graclus import Hierarchy
from rethinking.pooling.assignment import Assignment
from rethinking.pooling.topology import Topology
from rethinking.randomness import stream_keys


@torch.no_grad()
def diagnose(
    network: nn.Module, dataset: GraphDataset, graphs: np.ndarray, seed: int, epoch: int, batch_size: int
) -> dict[str, float]:
    """The means over graphs of `assignment_measures`, for each pooling layer on the nodes of the input.

    network: with one replica and trained weights. graphs: those of a part of the split, of the test. epoch: whose
    matchings are drawn, as in the evaluation of that epoch. Returns `pool1_entropy` … for each layer l with the
    product of the assignments up to it, and `hops`, the mean over all pairs of nodes that are joined by a path.
    Empty for families without pooling layers, or none that can be seen.
    """
    device = next(network.parameters()).device
    keys = stream_keys([seed], "matching", "test", epoch)
    network.eval()
    found: dict[str, list[float]] = defaultdict(list)
    with observed(network) as seen:
        for batch in Batches(dataset, device)(graphs[None], batch_size, keys):
            seen.clear()
            prepared = network.prepare(batch.topology, batch.keys)  # type: ignore[operator]
            network(batch.x, prepared)
            layers = _clusters(prepared) if isinstance(prepared, Hierarchy) else seen
            if layers:
                _measure(batch.topology, layers, found)
    # A graph that lacks a measure does not count for it.
    return {name: float(np.nanmean(values)) for name, values in found.items() if not np.isnan(values).all()}


# The assignment of graph g of a batch, [nodes or clusters before, clusters].
Layer = Callable[[int], np.ndarray]


@contextmanager
def observed(network: nn.Module) -> Iterator[list[Layer]]:
    """Lets a list fill with the assignments that the network's Selects make, in the order they are called."""
    seen: list[Layer] = []

    def note(select: nn.Module, arguments: tuple[Any, ...], assignment: Tensor) -> None:
        level = arguments[1]
        rows = assignment[0].cpu().numpy()
        topology: Topology | None = getattr(level, "topology", None)
        if topology is not None:
            seen.append(lambda g: rows[topology.start[g] : topology.start[g] + topology.size[g]])
        else:
            seen.append(lambda g: rows[g * level.nodes : (g + 1) * level.nodes])

    inner = {id(part) for module in network.modules() if isinstance(module, Assignment) for part in module.modules()
             if part is not module}  # fmt: skip
    outermost = [module for module in network.modules() if isinstance(module, Assignment) and id(module) not in inner]
    handles = [select.register_forward_hook(note) for select in outermost]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _clusters(hierarchy: Hierarchy) -> list[Layer]:
    """The matchings of a hierarchy as assignments."""

    def layer(level: int) -> Layer:
        fine, coarse = hierarchy.levels[level : level + 2]
        of = hierarchy.clusters[level].of

        def assignment(g: int) -> np.ndarray:
            rows = of[fine.start[g] : fine.start[g] + fine.size[g]] - coarse.start[g]
            return np.eye(coarse.size[g])[rows]

        return assignment

    return [layer(level) for level in range(len(hierarchy.clusters))]


def _measure(topology: Topology, layers: list[Layer], found: dict[str, list[float]]) -> None:
    """Add the measures of every graph of a batch."""
    joined = topology.edge_index
    if topology.directed:
        joined = np.unique(np.concatenate([joined, joined[::-1]], axis=1), axis=1)
    graph = topology.graph[joined[0]]
    order = np.argsort(graph, kind="stable")
    bounds = np.searchsorted(graph[order], np.arange(len(topology.start) + 1))
    for g, (first, size) in enumerate(zip(topology.start, topology.size, strict=True)):
        edges = joined[:, order[bounds[g] : bounds[g + 1]]] - first
        hops = hop_distances(size, edges)
        others = hops[np.isfinite(hops) & ~np.eye(size, dtype=bool)]
        found["hops"].append(others.mean() if len(others) else np.nan)
        product = np.eye(size)
        for number, layer in enumerate(layers, start=1):
            product = product @ layer(g)
            for name, value in assignment_measures(product, edges, hops).items():
                found[f"pool{number}_{name}"].append(value)
