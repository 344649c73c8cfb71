"""Twins of an operator: the same in all but one thing, which is what a comparison with them is about.

Each is called for the graphs of one replica, as twin(operator, graphs, keys), keys uint64 [B]: a random stream of each
graph, the same in every step. What an operator reduces and how it connects stays its own.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.draws import below, derive, mix, normal
from rethinking.pooling.matching import CHOICE
from rethinking.pooling.operators.explained import is_full, is_soft
from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, Operator


class Twin:
    """The base of all. needs_assignment: whether the operator must say which nodes its clusters are made of."""

    needs_assignment: bool = True

    def of(self, operator: Operator, in_features: int) -> "Twin":
        """What it is for one operator."""
        return self

    def __call__(self, operator: Callable[..., Coarse], graphs: Graphs, keys: np.ndarray) -> Coarse:
        """What the operator makes of the graphs, but for what the twin changes."""
        raise NotImplementedError


class Own(Twin):
    """The operator as it is."""

    needs_assignment = False

    def __call__(self, operator: Callable[..., Coarse], graphs: Graphs, keys: np.ndarray) -> Coarse:
        """See `Twin`."""
        return operator(graphs)


class Shuffled(Twin):
    """Its own assignment, with the nodes of each graph permuted, by one permutation a graph and seed.

    Number, sizes and entropy of the clusters stay; which nodes they are of does not. The operator learns from its
    auxiliary losses as ever: those of the assignment before it is permuted.
    """

    def __call__(self, operator: Callable[..., Coarse], graphs: Graphs, keys: np.ndarray) -> Coarse:
        """See `Twin`."""
        own = operator(graphs)
        given = _known(own).permuted(permutation(graphs, keys))
        return replace(operator(graphs, given), losses=own.losses)


class ShuffledInput(Twin):
    """The features of each graph's nodes permuted before they are pooled: for operators that say no assignment."""

    needs_assignment = False

    def __call__(self, operator: Callable[..., Coarse], graphs: Graphs, keys: np.ndarray) -> Coarse:
        """See `Twin`."""
        order = permutation(graphs, keys)
        return operator(replace(graphs, x=graphs.x[order]))


class OnComplement(Twin):
    """The clusters that it would make of the complement graphs; their features and edges are those of the graphs.

    Its auxiliary losses are those on the complement graphs.
    """

    def __call__(self, operator: Callable[..., Coarse], graphs: Graphs, keys: np.ndarray) -> Coarse:
        """See `Twin`."""
        own = operator(complement(graphs))
        return replace(operator(graphs, _known(own)), losses=own.losses)


class RandomClusters(Twin):
    """As many clusters of as many nodes, drawn once for each graph and seed; nothing teaches them.

    Where the operator's S has no zeros it is the softmax of normal numbers. Else every node in a cluster, as many as
    the operator has, is put into one at random, also where its S has several clusters for some nodes only (LaPool, NMF,
    ASAP); no cluster stays empty, and weights are one. As long as an operator makes as many clusters of a graph as in
    the last step they are the same ones; with another number nodes are put into them anew.
    """

    def __init__(self, soft: bool | None = None) -> None:
        """soft: whether S is; None to see by each S whether it has zeros."""
        self.soft = soft

    def of(self, operator: Operator, in_features: int) -> "RandomClusters":
        """Soft or not once for all graphs, if it learns: an entry of a softmax may come to be so small that it is zero.

        What looks at no features has a graph's S for good, which may be soft for large graphs only (NMF).
        """
        return RandomClusters(is_soft(operator, in_features) if operator.sees_features else None)

    def __call__(self, operator: Callable[..., Coarse], graphs: Graphs, keys: np.ndarray) -> Coarse:
        """See `Twin`."""
        with torch.no_grad():
            own = _known(operator(graphs))
        soft = is_full(own, graphs) if self.soft is None else self.soft
        return replace(operator(graphs, alike(own, graphs, keys, soft)), losses={})


def permutation(graphs: Graphs, keys: np.ndarray) -> Tensor:
    """A random permutation of each graph's nodes. keys: uint64 [B]. Returns int64 [N], the place of each node."""
    return torch.from_numpy(permuted(graphs.batch.cpu().numpy(), keys)).to(graphs.batch.device)


def permuted(batch: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """The same of nodes of these graphs, ascending. batch: int64 [N]. keys: uint64 [B]. Returns int64 [N]."""
    drawn = derive(keys[batch], _places(np.bincount(batch, minlength=len(keys))))
    # Sorted by graph first: who comes i-th among the drawn numbers gets place i.
    order = np.empty(len(batch), np.int64)
    order[np.lexsort((drawn, batch))] = np.arange(len(batch))
    return order


def complement(graphs: Graphs) -> Graphs:
    """An edge, in both directions, between any two nodes of a graph that have none in either; no self-loops."""
    sizes = np.bincount(graphs.batch.cpu().numpy(), minlength=graphs.count)
    edges = _complement(sizes, *graphs.edge_index.cpu().numpy())
    return replace(graphs, edge_index=torch.from_numpy(edges).to(graphs.batch.device), edge_weight=None, directed=False)


def alike(own: Assignment, graphs: Graphs, keys: np.ndarray, soft: bool) -> Assignment:
    """A random assignment with as many clusters and nodes in them, see `RandomClusters`. keys: uint64 [B]."""
    nodes = np.bincount(graphs.batch.cpu().numpy(), minlength=graphs.count)
    clusters = np.bincount(own.batch.cpu().numpy(), minlength=graphs.count)
    device, dtype = own.weight.device, own.weight.dtype
    if soft:
        node, cluster, graph = _all_pairs(nodes, clusters)
        drawn = torch.from_numpy(normal(derive(derive(keys[graph], node), cluster)))
        of = torch.from_numpy(node + (np.cumsum(nodes) - nodes)[graph]).to(device)
        to = torch.from_numpy(cluster + (np.cumsum(clusters) - clusters)[graph]).to(device)
        return own.changed(node=of, cluster=to, weight=_softmax(drawn.to(device, dtype), of, own.nodes))
    covered = np.bincount(graphs.batch[torch.unique(own.node)].cpu().numpy(), minlength=graphs.count)
    order = permutation(graphs, keys).cpu().numpy()
    node, cluster = scattered(nodes, clusters, covered, order, keys)
    ones = torch.ones(len(node), device=device, dtype=dtype)
    return own.changed(
        node=torch.from_numpy(node).to(device), cluster=torch.from_numpy(cluster).to(device), weight=ones
    )


def _known(coarse: Coarse) -> Assignment:
    if coarse.assignment is None:
        raise ValueError("this operator does not say which nodes its clusters are made of")
    return coarse.assignment


def _places(sizes: np.ndarray) -> np.ndarray:
    """0 … size−1 of each graph, one after another."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _all_pairs(nodes: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every node with every cluster of its graph, counted within it, and the graph."""
    pairs = nodes * clusters
    graph = np.repeat(np.arange(len(nodes)), pairs)
    place = _places(pairs)
    return place // clusters[graph], place % clusters[graph], graph


def _softmax(weight: Tensor, node: Tensor, nodes: int) -> Tensor:
    exponential = weight.exp()
    total = exponential.new_zeros(nodes).index_add(0, node, exponential)
    return exponential / total[node]


@njit(cache=True, nogil=True)
def scattered(nodes, clusters, covered, order, keys):
    """The covered nodes of each graph, those of the first places in `order`, each in a cluster; the first of them in
    cluster 0, 1, …"""
    total = covered.sum()
    node, cluster = np.empty(total, np.int64), np.empty(total, np.int64)
    filled, first_node, first_cluster = 0, 0, 0
    for graph in range(len(nodes)):
        choice = mix(keys[graph], CHOICE)
        for i in range(first_node, first_node + nodes[graph]):
            place = order[i] - first_node
            if place < covered[graph]:
                node[filled] = i
                own = place if place < clusters[graph] else below(choice, place, clusters[graph])
                cluster[filled] = first_cluster + own
                filled += 1
        first_node += nodes[graph]
        first_cluster += clusters[graph]
    return node, cluster


@njit(cache=True, nogil=True)
def _complement(sizes, source, target):
    pairs = 0
    for size in sizes:
        pairs += size * size
    joined = np.zeros(pairs, np.bool_)
    graph_of = np.repeat(np.arange(len(sizes)), sizes)
    first = np.cumsum(sizes) - sizes
    base = np.cumsum(sizes * sizes) - sizes * sizes
    for edge in range(len(source)):
        g = graph_of[source[edge]]
        i, j = source[edge] - first[g], target[edge] - first[g]
        joined[base[g] + i * sizes[g] + j] = True
        joined[base[g] + j * sizes[g] + i] = True
    edges = np.empty((2, pairs), np.int64)
    filled = 0
    for g in range(len(sizes)):
        for i in range(sizes[g]):
            for j in range(sizes[g]):
                if i != j and not joined[base[g] + i * sizes[g] + j]:
                    edges[0, filled] = first[g] + i
                    edges[1, filled] = first[g] + j
                    filled += 1
    return edges[:, :filled].copy()
