"""Reduces: a cluster's features from those of its nodes.

`cluster_max` is the Reduce of the matching families (Eq. 2); `graph_mean` is the read-out that
reduces a whole graph to one vector. On the CPU both run as compiled loops, elsewhere as torch
scatters; the tests hold the two against each other and against PyG.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from rethinking.graphs.topology import Clusters, Topology, expand


def cluster_max(x: Tensor, clusters: Clusters, coarse: Topology) -> Tensor:
    """The element-wise maximum over each cluster (Eq. 2).

    x: [R, N, F]. Returns [R, N', F], zero in padding rows. Where several nodes hold the maximum
    the gradient is shared equally among them, as in PyG.
    """
    if x.device.type == "cpu":
        return _ClusterMax.apply(x, clusters, coarse)
    return scatter_cluster_max(x, clusters, coarse)


def scatter_cluster_max(x: Tensor, clusters: Clusters, coarse: Topology) -> Tensor:
    """`cluster_max` by torch's scatters, for any device."""
    members = torch.from_numpy(clusters.members).to(x.device)
    target = torch.from_numpy(clusters.of[clusters.members]).to(x.device)
    values = x.flatten(0, 1).index_select(0, members)
    # Not from zero: a maximum of zero would then share its gradient with the start value.
    out = values.new_full((coarse.rows, x.shape[-1]), -torch.inf)
    out = out.scatter_reduce(0, target[:, None].expand_as(values), values, "amax", include_self=False)
    empty = torch.from_numpy(np.diff(clusters.ptr) == 0).to(x.device)
    return out.masked_fill(empty[:, None], 0).view(coarse.replicas, coarse.width, -1)


def graph_mean(x: Tensor, topology: Topology) -> Tensor:
    """The mean over the nodes of each graph. x: [R, N, F]. Returns [R, B, F]."""
    if x.device.type == "cpu":
        return _GraphMean.apply(x, topology).view(topology.replicas, -1, x.shape[-1])
    return scatter_graph_mean(x, topology)


def graph_sum(x: Tensor, topology: Topology) -> Tensor:
    """The sum over the nodes of each graph. x: [R, N, F]. Returns [R, B, F]."""
    size = torch.from_numpy(topology.size).to(x.device, x.dtype)
    return graph_mean(x, topology) * size.view(topology.replicas, -1, 1)


def scatter_graph_mean(x: Tensor, topology: Topology) -> Tensor:
    """`graph_mean` by torch's scatters, for any device."""
    nodes = expand(topology.start, topology.size)
    graph = torch.from_numpy(topology.graph[nodes]).to(x.device)
    values = x.flatten(0, 1).index_select(0, torch.from_numpy(nodes).to(x.device))
    sums = values.new_zeros(len(topology.start), x.shape[-1]).index_add(0, graph, values)
    size = torch.from_numpy(topology.size).to(x.device, x.dtype)
    return (sums / size[:, None]).view(topology.replicas, -1, x.shape[-1])


class _ClusterMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, clusters: Clusters, coarse: Topology) -> Tensor:
        out = x.new_empty(coarse.replicas, coarse.width, x.shape[-1])
        x = x.contiguous()
        _max_forward(_rows(x), clusters.ptr, clusters.members, _rows(out))
        ctx.save_for_backward(x, out)
        ctx.clusters = clusters
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        x, out = ctx.saved_tensors
        grad_x = torch.zeros_like(x)
        clusters = ctx.clusters
        _max_backward(_rows(x), _rows(out), _rows(grad.contiguous()), clusters.ptr, clusters.members, _rows(grad_x))
        return grad_x, None, None


class _GraphMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, topology: Topology) -> Tensor:
        out = x.new_empty(len(topology.start), x.shape[-1])
        _mean_forward(_rows(x.detach().contiguous()), topology.start, topology.size, out.numpy())
        ctx.topology = topology
        ctx.shape = x.shape
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        grad_x = grad.new_zeros(ctx.shape)
        _mean_backward(grad.contiguous().numpy(), ctx.topology.start, ctx.topology.size, _rows(grad_x))
        return grad_x, None


def _rows(x: Tensor) -> np.ndarray:
    """A contiguous CPU tensor [R, N, F] as a NumPy view [R·N, F]."""
    return x.detach().view(-1, x.shape[-1]).numpy()


@njit(cache=True, nogil=True)
def _max_forward(x, ptr, members, out):
    for cluster in range(len(ptr) - 1):
        first = ptr[cluster]
        last = ptr[cluster + 1]
        if first == last:
            out[cluster, :] = 0
            continue
        row = members[first]
        for f in range(x.shape[1]):
            out[cluster, f] = x[row, f]
        for m in range(first + 1, last):
            row = members[m]
            for f in range(x.shape[1]):
                out[cluster, f] = max(out[cluster, f], x[row, f])


@njit(cache=True, nogil=True, error_model="numpy")
def _max_backward(x, out, grad, ptr, members, grad_x):
    holders = np.empty(x.shape[1], x.dtype)
    for cluster in range(len(ptr) - 1):
        first = ptr[cluster]
        last = ptr[cluster + 1]
        if last - first == 1:
            row = members[first]
            for f in range(x.shape[1]):
                grad_x[row, f] = grad[cluster, f]
            continue
        holders[:] = 0
        for m in range(first, last):
            row = members[m]
            for f in range(x.shape[1]):
                holders[f] += x[row, f] == out[cluster, f]
        for m in range(first, last):
            row = members[m]
            for f in range(x.shape[1]):
                grad_x[row, f] = (x[row, f] == out[cluster, f]) * grad[cluster, f] / holders[f]


@njit(cache=True, nogil=True)
def _mean_forward(x, start, size, out):
    for graph in range(len(start)):
        for f in range(x.shape[1]):
            out[graph, f] = 0
        for row in range(start[graph], start[graph] + size[graph]):
            for f in range(x.shape[1]):
                out[graph, f] += x[row, f]
        for f in range(x.shape[1]):
            out[graph, f] /= size[graph]


@njit(cache=True, nogil=True)
def _mean_backward(grad, start, size, grad_x):
    for graph in range(len(start)):
        for row in range(start[graph], start[graph] + size[graph]):
            for f in range(grad.shape[1]):
                grad_x[row, f] = grad[graph, f] / size[graph]
