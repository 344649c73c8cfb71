"""Between graphs that lie block-diagonal and graphs that are padded to one size, as dense poolers want them."""

from dataclasses import replace

import torch
from torch import Tensor
from torch_geometric.utils import to_dense_adj, to_dense_batch

from rethinking.pooling.operators.interface import Assignment, Graphs


def pad(graphs: Graphs) -> tuple[Tensor, Tensor, Tensor]:
    """Returns x [B, n, F], the adjacency matrices [B, n, n], and which rows are nodes, bool [B, n]."""
    x, mask = to_dense_batch(graphs.x, graphs.batch, batch_size=graphs.count)
    adjacency = to_dense_adj(graphs.edge_index, graphs.batch, graphs.weights, x.shape[1], graphs.count)
    return x, adjacency, mask


def are_nodes(graphs: Graphs) -> Tensor:
    """Which rows of `pad` are nodes, without the rest of it. Returns bool [B, n]."""
    sizes = graphs.sizes
    return torch.arange(int(sizes.max()), device=sizes.device) < sizes[:, None]


def unpad(x: Tensor, adjacency: Tensor, exists: Tensor) -> Graphs:
    """x: [B, K, F]. adjacency: [B, K, K], edges are its entries that are not zero. exists: bool [B, K]."""
    number = exists.flatten().cumsum(0).view_as(exists) - 1
    graph, source, target = (adjacency * exists[:, :, None] * exists[:, None]).nonzero(as_tuple=True)
    return Graphs(
        x=x[exists],
        edge_index=torch.stack([number[graph, source], number[graph, target]]),
        edge_weight=adjacency[graph, source, target],
        batch=exists.nonzero()[:, 0],
        count=len(exists),
    )


def only(graphs: Graphs, exists: Tensor) -> Graphs:
    """Those of B times K nodes that exist; the others must have no edges. exists: bool [B, K]."""
    number = exists.flatten().cumsum(0) - 1
    there = exists.flatten()
    return Graphs(graphs.x[there], number[graphs.edge_index], graphs.edge_weight, graphs.batch[there], graphs.count)


def matrices(assignment: Assignment, graphs: Graphs) -> tuple[Tensor, Tensor]:
    """S of each graph, [B, n, K], zero for what is padding, and which clusters there are, bool [B, K]."""
    nodes, clusters = _places(graphs.batch, graphs.count), _places(assignment.batch, graphs.count)
    width = int(clusters.max()) + 1
    s = assignment.weight.new_zeros(graphs.count, int(graphs.sizes.max()), width)
    where = (graphs.batch[assignment.node], nodes[assignment.node], clusters[assignment.cluster])
    exists = torch.zeros(graphs.count, width, dtype=torch.bool, device=s.device)
    exists[assignment.batch, clusters] = True
    return s.index_put(where, assignment.weight, accumulate=True), exists


def ascending(graphs: Graphs, assignment: Assignment | None) -> tuple[Graphs, Assignment | None]:
    """The same with clusters in the order of their graphs, and then edges in that of clusters."""
    if bool((graphs.batch.diff() >= 0).all()):
        return graphs, assignment
    order = graphs.batch.argsort(stable=True)
    graphs = reordered(graphs, order)
    edges = graphs.edge_index
    by_cluster = (edges[0] * len(order) + edges[1]).argsort(stable=True)
    weight = None if graphs.edge_weight is None else graphs.edge_weight[by_cluster]
    graphs = replace(graphs, edge_index=edges[:, by_cluster], edge_weight=weight)
    return graphs, None if assignment is None else renumbered(assignment, order)


def reordered(graphs: Graphs, order: Tensor) -> Graphs:
    """The same clusters in another order. order: int64 [K], which of them comes first, second, …"""
    edges = order.argsort()[graphs.edge_index]
    return replace(graphs, x=graphs.x[order], edge_index=edges, batch=graphs.batch[order])


def renumbered(assignment: Assignment, order: Tensor) -> Assignment:
    """The assignment to clusters that are reordered."""
    return assignment.changed(cluster=order.argsort()[assignment.cluster], batch=assignment.batch[order])


def _places(batch: Tensor, count: int) -> Tensor:
    """The place of each within its graph. batch: [N], ascending."""
    sizes = torch.bincount(batch, minlength=count)
    return torch.arange(len(batch), device=batch.device) - (sizes.cumsum(0) - sizes)[batch]
