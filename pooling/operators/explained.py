"""Poolers that say which nodes their clusters are made of, and whose features and edges follow from that.

Then other clusters can be put in the place of their own, although the pooler takes none: features are the sums over
clusters by a weight each, edges those between clusters, in one of the usual ways. Whether a pooler is of that kind, and
in which way it connects, is seen on a few graphs; whether its clusters are soft, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch_geometric.utils import coalesce

from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, Operator
from rethinking.pooling.operators.sentences import checked
from rethinking.randomness import generators_follow

# How far what is returned may be from what it should be, relative to the largest number.
TOLERANCE = 1e-4
# Nodes of the graphs on which it is seen, in rings with a chord.
SIZES = (7, 5, 8)
# And trees: of each node but the first, the one that it hangs on. A star, a path, and one with leaves at two heights.
TREES = ((0, 0, 0, 0), (0, 1, 2), (0, 0, 1, 1, 2))


def explained(pool: Callable[[Graphs], Coarse], in_features: int) -> "Connect | None":
    """How a pooler of that kind connects its clusters; None for one that is of another. pool: as it is called."""
    graphs = some_graphs(in_features, TREES)
    try:
        own = checked(pool(graphs), graphs, "")
    except Exception:  # What is wrong will be said where it matters.
        return None
    weighted = with_weights(own, graphs)
    if weighted is None:
        return None
    for connect in (any_edge, sums_of_weights, sums_between):
        again = by_clusters(graphs, weighted, connect)
        if alike(own.graphs.x, again.graphs.x) and alike(_matrix(own.graphs), _matrix(again.graphs)):
            return connect
    return None


def is_soft(operator: Operator, in_features: int) -> bool:
    """Whether an operator puts every node into every cluster of its graph, if by little: what a softmax gives.

    Not if it makes one cluster of every graph, which says nothing.
    """
    graphs = some_graphs(in_features)
    try:
        with torch.no_grad(), generators_follow(0):
            own = operator(graphs).assignment
    except Exception:  # What is wrong will be said where it matters.
        return False
    return own is not None and own.clusters > graphs.count and is_full(own, graphs)


def takes_clusters(operator: Operator, in_features: int) -> bool:
    """Whether an operator can be given clusters: its own change nothing, those of other nodes change the features.

    Seen without what only training draws (dropout), which is other in each call.
    """
    graphs, training = some_graphs(in_features), operator.training
    operator.eval()
    try:
        with torch.no_grad(), generators_follow(0):
            own = checked(operator(graphs), graphs, "")
            assert own.assignment is not None
            backwards = torch.arange(len(graphs.x)).flip(0)[graphs.batch.flip(0).argsort(stable=True)]
            again, other = operator(graphs, own.assignment), operator(graphs, own.assignment.permuted(backwards))
    except Exception:  # What is wrong will be said where it matters.
        return False
    finally:
        operator.train(training)
    return alike(own.graphs.x, again.graphs.x) and not alike(again.graphs.x, other.graphs.x)


def is_full(own: Assignment, graphs: Graphs) -> bool:
    """Whether S has no zeros: every node is in every cluster of its graph."""
    clusters = torch.bincount(own.batch, minlength=graphs.count)
    return len(own.node) == int((graphs.sizes * clusters).sum())


def with_weights(coarse: Coarse, graphs: Graphs) -> Assignment | None:
    """The assignment with the weight of each cluster by which the sum of its nodes' features is what was returned.

    One where these are all zero, so that any would do.
    """
    own = coarse.assignment
    if own is None:
        return None
    sums = own.changed(weight=torch.ones_like(own.weight)).reduce(graphs.x)
    length = sums.square().sum(dim=-1)
    along = (coarse.graphs.x * sums).sum(dim=-1)
    weight = torch.where(length > 0, along / torch.where(length > 0, length, 1), 1)
    return own.changed(weight=weight[own.cluster])


def by_clusters(graphs: Graphs, given: Assignment, connect: "Connect") -> Coarse:
    """Sums over clusters by their weights, connected in one of the ways below."""
    of = torch.full((given.nodes,), -1, dtype=torch.int64, device=given.node.device).scatter(
        0, given.node, given.cluster
    )
    edges = of[graphs.edge_index]
    kept = (edges >= 0).all(dim=0)
    weight = None if graphs.edge_weight is None else graphs.edge_weight[kept]
    edges, weight = connect(edges[:, kept], weight, len(given.node) == given.clusters)
    x = given.reduce(graphs.x)
    return Coarse(replace(graphs, x=x, edge_index=edges, edge_weight=weight, batch=given.batch), given)


# Called with the clusters that the ends of each edge are in, int64 [2, E], its weight, [E] or None for ones, and
# whether clusters are single nodes. Returns the edges of the clusters and their weights.
Connect = Callable[[Tensor, Tensor | None, bool], tuple[Tensor, Tensor | None]]


def any_edge(edges: Tensor, weight: Tensor | None, single: bool) -> tuple[Tensor, Tensor | None]:
    """An edge where an edge leads from one cluster to another; between single nodes it keeps its weight."""
    between = edges[0] != edges[1]
    if single:
        return edges[:, between], None if weight is None else weight[between]
    return torch.unique(edges[:, between], dim=1), None


def sums_of_weights(edges: Tensor, weight: Tensor | None, single: bool) -> tuple[Tensor, Tensor | None]:
    """SᵀAS: an edge has the weight of all edges from one cluster to another, a loop that of those within one."""
    ones = torch.ones(edges.shape[1], device=edges.device) if weight is None else weight
    return coalesce(edges, ones)


def sums_between(edges: Tensor, weight: Tensor | None, single: bool) -> tuple[Tensor, Tensor | None]:
    """The same without loops."""
    between = edges[0] != edges[1]
    return sums_of_weights(edges[:, between], None if weight is None else weight[between], single)


def some_graphs(features: int, trees: Sequence[Sequence[int]] = ()) -> Graphs:
    """Rings with a chord, and trees (see TREES), of random features."""
    edges, batch, first = [], [], 0
    for graph, size in enumerate(SIZES):
        ring = torch.arange(size)
        pairs = torch.cat([torch.stack([ring, (ring + 1) % size]), torch.tensor([[0], [size // 2]])], dim=1) + first
        edges += [pairs, pairs.flip(0)]
        batch += [graph] * size
        first += size
    for graph, parents in enumerate(trees, len(SIZES)):
        size = len(parents) + 1
        pairs = torch.stack([torch.arange(1, size), torch.tensor(parents)]) + first
        edges += [pairs, pairs.flip(0)]
        batch += [graph] * size
        first += size
    x = torch.randn(first, features, generator=torch.Generator().manual_seed(0))
    return Graphs(x.to(torch.get_default_dtype()), torch.cat(edges, dim=1), None, torch.tensor(batch), batch[-1] + 1)


def alike(found: Tensor, expected: Tensor) -> bool:
    """Whether these are the same but for rounding."""
    if found.shape != expected.shape:
        return False
    return not found.numel() or bool((found - expected).abs().max() <= TOLERANCE * found.abs().max())


def _matrix(graphs: Graphs) -> Tensor:
    """A of all of them, [N, N]."""
    nodes, weights = len(graphs.x), graphs.weights
    return weights.new_zeros(nodes, nodes).index_put(tuple(graphs.edge_index), weights, accumulate=True)
