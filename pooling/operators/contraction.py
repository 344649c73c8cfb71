"""Merging the ends of edges, all or one after another, as fast as it can be done.

With the loop of PyG's EdgePooling, which reads an element of a tensor at each edge, this is most of a step's time; with
the dense matrices of all nodes of its ClusterPooling too.
"""

import numpy as np
import torch
from numba import njit
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch_geometric.nn.pool.edge_pool import UnpoolInfo
from torch_geometric.utils import coalesce, scatter


def merge_edges(
    x: Tensor, edge_index: Tensor, batch: Tensor, edge_score: Tensor
) -> tuple[Tensor, Tensor, Tensor, UnpoolInfo]:
    """What EdgePooling's `_merge_edges` returns, to the bit.

    x: [N, F]. edge_index: int64 [2, E]. batch: int64 [N]. edge_score: [E]. Returns the same of the clusters, those of
    merged edges first, the highest score before others; and what to unpool by.
    """
    order = edge_score.argsort(descending=True).cpu().numpy()
    source, target = edge_index.cpu().numpy()
    cluster_of, chosen_edges, count = _merged(source, target, order, len(x))
    cluster, chosen = (torch.from_numpy(each).to(x.device) for each in (cluster_of, chosen_edges))
    score = torch.cat([edge_score[chosen], edge_score.new_ones(count - len(chosen))])
    pooled = scatter(x, cluster, dim=0, dim_size=count, reduce="sum") * score[:, None]
    edges = coalesce(cluster[edge_index], num_nodes=count)
    coarse = batch.new_empty(count).scatter_(0, cluster, batch)
    return pooled, edges, coarse, UnpoolInfo(edge_index, cluster, batch, score)


def components(edge_index: Tensor, nodes: int) -> Tensor:
    """The clusters of nodes that edges join, directly or not, whatever their directions. edge_index: int64 [2, E].

    Returns int64 [nodes].
    """
    source, target = edge_index.cpu().numpy()
    matrix = coo_array((np.ones(len(source), np.int8), (source, target)), shape=(nodes, nodes))
    _, cluster = connected_components(matrix, directed=True, connection="weak")
    return torch.from_numpy(cluster.astype(np.int64)).to(edge_index.device)


@njit(cache=True, nogil=True)
def _merged(source, target, order, nodes):
    """The cluster of each node, the edges whose ends are one, in their order, and how many clusters there are.

    An edge is passed over as soon as one of its ends is taken. A node that no edge takes is a cluster by itself.
    """
    cluster = np.full(nodes, -1, np.int64)
    chosen = np.empty(nodes, np.int64)
    count = 0
    for edge in order:
        if cluster[source[edge]] < 0 and cluster[target[edge]] < 0:
            cluster[source[edge]] = count
            cluster[target[edge]] = count
            chosen[count] = edge
            count += 1
    merged = count
    for node in range(nodes):
        if cluster[node] < 0:
            cluster[node] = count
            count += 1
    return cluster, chosen[:merged], count
