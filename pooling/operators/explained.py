"""Poolers that say which nodes their clusters are made of, and whose features and edges follow from that.

Then other clusters can be put in the place of their own, although the pooler takes none: features are the sums over
clusters by a weight each, edges those between clusters. Whether a pooler is of that kind is seen on a few graphs.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs
from rethinking.pooling.operators.sentences import checked

# How far what is returned may be from what it should be, relative to the largest number.
TOLERANCE = 1e-4
# Nodes of the graphs on which it is seen, in rings with a chord.
SIZES = (7, 5, 8)


def is_explained(pool: Callable[[Graphs], Coarse], in_features: int) -> bool:
    """Whether a pooler is of that kind. pool: as it is called."""
    graphs = some_graphs(in_features)
    try:
        own = checked(pool(graphs), graphs, "")
    except Exception:  # What is wrong will be said where it matters.
        return False
    weighted = with_weights(own, graphs)
    if weighted is None:
        return False
    again = by_clusters(graphs, weighted)
    return alike(own.graphs.x, again.graphs.x) and _matrix(own.graphs).equal(_matrix(again.graphs))


def with_weights(coarse: Coarse, graphs: Graphs) -> Assignment | None:
    """The assignment with the weight of each cluster by which the sum of its nodes' features is what was returned."""
    own = coarse.assignment
    if own is None:
        return None
    sums = replace(own, weight=torch.ones_like(own.weight)).reduce(graphs.x)
    length = sums.square().sum(dim=-1)
    weight = (coarse.graphs.x * sums).sum(dim=-1) / torch.where(length > 0, length, 1)
    return replace(own, weight=weight[own.cluster])


def by_clusters(graphs: Graphs, given: Assignment) -> Coarse:
    """Sums over clusters by their weights, and an edge where an edge leads from one to another.

    Where clusters are single nodes, edges keep their weights.
    """
    of = torch.full((given.nodes,), -1, dtype=torch.int64, device=given.node.device).scatter(
        0, given.node, given.cluster
    )
    source, target = of[graphs.edge_index]
    kept = (source >= 0) & (target >= 0) & (source != target)
    edges, weight = torch.stack([source, target])[:, kept], graphs.edge_weight
    if len(given.node) == given.clusters:
        weight = None if weight is None else weight[kept]
    else:
        edges, weight = torch.unique(edges, dim=1), None
    x = given.reduce(graphs.x)
    return Coarse(replace(graphs, x=x, edge_index=edges, edge_weight=weight, batch=given.batch), given)


def some_graphs(features: int) -> Graphs:
    """Rings with a chord, of random features."""
    edges, batch, first = [], [], 0
    for graph, size in enumerate(SIZES):
        ring = torch.arange(size)
        pairs = torch.cat([torch.stack([ring, (ring + 1) % size]), torch.tensor([[0], [size // 2]])], dim=1) + first
        edges += [pairs, pairs.flip(0)]
        batch += [graph] * size
        first += size
    x = torch.randn(first, features, generator=torch.Generator().manual_seed(0))
    return Graphs(x.to(torch.get_default_dtype()), torch.cat(edges, dim=1), None, torch.tensor(batch), len(SIZES))


def alike(found: Tensor, expected: Tensor) -> bool:
    """Whether these are the same but for rounding."""
    return found.shape == expected.shape and bool((found - expected).abs().max() <= TOLERANCE * found.abs().max())


def _matrix(graphs: Graphs) -> Tensor:
    """Which clusters are joined, but for loops."""
    joined = torch.zeros(len(graphs.x), len(graphs.x), dtype=torch.bool)
    joined[graphs.edge_index[0], graphs.edge_index[1]] = True
    return joined.fill_diagonal_(False)
