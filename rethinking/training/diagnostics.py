"""What the pooling of a trained network does: its Selections on test graphs, measured."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.data.batches import Batches
from rethinking.data.dataset import GraphDataset
from rethinking.graphs.hops import hop_distances
from rethinking.graphs.levels import NodeSets
from rethinking.graphs.topology import Topology
from rethinking.pooling.measures import assignment_measures, cosine_distance
from rethinking.pooling.pool import Pooled, PoolingLayer
from rethinking.pooling.selection import Selection
from rethinking.randomness import stream_keys
from rethinking.training.sizes import evaluated_at_once


@dataclass(frozen=True)
class Seen:
    """What a pooling layer did in a forward pass.

    before: the node features of each graph, by its number, [n, F]. after: those of its clusters. selection: the
    assignment.
    """

    before: Callable[[int], np.ndarray]
    after: Callable[[int], np.ndarray]
    selection: Selection


def diagnose(
    network: nn.Module, dataset: GraphDataset, graphs: np.ndarray, seed: int, epoch: int, batch_size: int | None
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
        if seen:
            _measure(topology, seen, found)
    # A graph that lacks a measure does not count for it.
    return {name: float(np.nanmean(values)) for name, values in found.items() if not np.isnan(values).all()}


def has_pools(network: nn.Module) -> bool:
    """Whether there is anything to be seen by `diagnose`."""
    return any(isinstance(module, PoolingLayer) for module in network.modules())


@torch.no_grad()
def look(
    network: nn.Module, dataset: GraphDataset, graphs: np.ndarray, seed: int, epoch: int, batch_size: int | None
) -> Iterator[tuple[Topology, list[Seen]]]:
    """What each pooling layer does in each batch of some test graphs; see `diagnose`."""
    device = next(network.parameters()).device
    keys = stream_keys([seed], "matching", "test", epoch)
    network.eval()
    size = batch_size or evaluated_at_once(network, dataset, 1)
    for batch in Batches(dataset, device)(graphs[None], size, keys):
        with _observed(network) as seen:
            network(batch.x, batch.level)
        yield batch.level.topology, seen


@contextmanager
def _observed(network: nn.Module) -> Iterator[list[Seen]]:
    """Notes what the network's pooling layers do, in the order they are called."""
    seen: list[Seen] = []

    def note(module: nn.Module, arguments: tuple[Any, ...], pooled: Pooled) -> None:
        x, level = arguments
        if pooled.selection is not None:
            seen.append(Seen(_of_graphs(x, level), _of_graphs(pooled.x, pooled.level), pooled.selection))

    handles = [module.register_forward_hook(note) for module in network.modules() if isinstance(module, PoolingLayer)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _of_graphs(x: Tensor, level: NodeSets) -> Callable[[int], np.ndarray]:
    """The rows of each graph, of a copy, as later layers may change features in place."""
    rows = x[0].cpu().numpy().copy()
    return lambda graph: rows[level.rows_of(graph)]


def _measure(topology: Topology, seen: list[Seen], found: dict[str, list[float]]) -> None:
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
        for number, layer in enumerate(seen, start=1):
            product = product @ layer.selection.of_graph(g)
            for name, value in assignment_measures(product, edges, hops).items():
                found[f"pool{number}_{name}"].append(value)
            found[f"pool{number}_before"].append(cosine_distance(layer.before(g)))
            found[f"pool{number}_after"].append(cosine_distance(layer.after(g)))
