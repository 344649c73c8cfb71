"""What the pooling of a trained network does: its assignments on test graphs, measured."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.data.batches import Batches
from rethinking.data.dataset import GraphDataset
from rethinking.graphs.topology import Topology
from rethinking.layers.convolutions import Probe
from rethinking.models.graclus import Hierarchy
from rethinking.pooling.assignment import Assignment
from rethinking.pooling.measures import assignment_measures, cosine_distance, hop_distances
from rethinking.randomness import stream_keys

# Something of each graph of a batch, by its number: an assignment [nodes or clusters before, clusters], or node
# features [nodes, F].
OfGraph = Callable[[int], np.ndarray]


@dataclass
class Seen:
    """What a forward pass showed: the assignment of each pooling layer, and features before and after it."""

    assignments: list[OfGraph] = field(default_factory=list)
    before: list[OfGraph] = field(default_factory=list)
    after: list[OfGraph] = field(default_factory=list)


def diagnose(
    network: nn.Module, dataset: GraphDataset, graphs: np.ndarray, seed: int, epoch: int, batch_size: int
) -> dict[str, float]:
    """The means over graphs of `assignment_measures`, for each pooling layer on the nodes of the input.

    network: with one replica and trained weights. graphs: those of a part of the split, of the test. epoch: whose
    matchings are drawn, as in the evaluation of that epoch. Returns `pool1_entropy` … for each layer l with the
    product of the assignments up to it, `hops`, the mean over all pairs of nodes that are joined by a path, and the
    `cosine_distance` of node features before and after each layer, `pool1_before` and `pool1_after`.
    Empty for families without pooling layers, or none that can be seen.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for topology, seen in look(network, dataset, graphs, seed, epoch, batch_size):
        if seen.assignments:
            _measure(topology, seen, found)
    # A graph that lacks a measure does not count for it.
    return {name: float(np.nanmean(values)) for name, values in found.items() if not np.isnan(values).all()}


@torch.no_grad()
def look(
    network: nn.Module, dataset: GraphDataset, graphs: np.ndarray, seed: int, epoch: int, batch_size: int
) -> Iterator[tuple[Topology, Seen]]:
    """What the network does in each batch of some test graphs; see `diagnose`."""
    device = next(network.parameters()).device
    keys = stream_keys([seed], "matching", "test", epoch)
    network.eval()
    for batch in Batches(dataset, device)(graphs[None], batch_size, keys):
        with _observed(network) as seen:
            prepared = network.prepare(batch.topology, batch.keys)  # type: ignore[operator]
            network(batch.x, prepared)
        if isinstance(prepared, Hierarchy):
            seen.assignments = _clusters(prepared)
        yield batch.topology, seen


@contextmanager
def _observed(network: nn.Module) -> Iterator[Seen]:
    """Notes what the network's Selects return and what passes its probes, in the order they are called."""
    seen = Seen()

    def note(into: list[OfGraph], module: nn.Module, arguments: tuple[Any, ...], result: Tensor) -> None:
        # A copy, as later layers may change features in place.
        into.append(_of_graph(result[0].cpu().numpy().copy(), arguments[1]))

    selects = [module for module in network.modules() if isinstance(module, Assignment)]
    # Not those that another Select has inside.
    inner = {id(part) for select in selects for part in select.modules() if part is not select}
    watched: list[tuple[nn.Module, list[OfGraph]]] = [
        (select, seen.assignments) for select in selects if id(select) not in inner
    ]
    probes = {name: getattr(network, name, None) for name in ("before", "after")}
    watched += [(probe, getattr(seen, name)) for name, probe in probes.items() if isinstance(probe, Probe)]
    handles = [module.register_forward_hook(partial(note, into)) for module, into in watched]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _of_graph(rows: np.ndarray, level: Any) -> OfGraph:
    """The rows of each graph. level: where the rows lie."""
    topology = level if isinstance(level, Topology) else getattr(level, "topology", None)
    if topology is None:
        return lambda g: rows[g * level.nodes : (g + 1) * level.nodes]
    return lambda g: rows[topology.start[g] : topology.start[g] + topology.size[g]]


def _clusters(hierarchy: Hierarchy) -> list[OfGraph]:
    """The matchings of a hierarchy as assignments."""

    def layer(level: int) -> OfGraph:
        fine, coarse = hierarchy.levels[level : level + 2]
        of = hierarchy.clusters[level].of

        def assignment(g: int) -> np.ndarray:
            rows = of[fine.start[g] : fine.start[g] + fine.size[g]] - coarse.start[g]
            return np.eye(coarse.size[g])[rows]

        return assignment

    return [layer(level) for level in range(len(hierarchy.clusters))]


def _measure(topology: Topology, seen: Seen, found: dict[str, list[float]]) -> None:
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
        for number, layer in enumerate(seen.assignments, start=1):
            product = product @ layer(g)
            for name, value in assignment_measures(product, edges, hops).items():
                found[f"pool{number}_{name}"].append(value)
        for name in ("before", "after"):
            for number, features in enumerate(getattr(seen, name), start=1):
                found[f"pool{number}_{name}"].append(cosine_distance(features(g)))
