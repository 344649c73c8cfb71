"""Small pooling operators of which one knows what comes out."""

from typing import Any

import torch
from torch import Tensor, nn

from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, Operator


def from_dense(graphs: Graphs, s: Tensor, losses: dict[str, Tensor] | None = None) -> Coarse:
    """X' = SᵀX and A' = SᵀAS of one graph. s: [N, K]."""
    n, k = s.shape
    node, cluster = s.detach().nonzero().T
    batch = torch.zeros(k, dtype=torch.long)
    adjacency = graphs.x.new_zeros(n, n).index_put(tuple(graphs.edge_index), graphs.weights, accumulate=True)
    coarse = s.T @ adjacency @ s
    edge_index = coarse.detach().nonzero().T
    pooled = Graphs(s.T @ graphs.x, edge_index, coarse[tuple(edge_index)], batch, 1)
    return Coarse(pooled, Assignment(node, cluster, s[node, cluster], batch, n), losses or {})


class Identity(Operator):
    """Every node is a cluster; for any number of graphs."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__()

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        node = torch.arange(len(graphs.x))
        return Coarse(graphs, Assignment(node, node, torch.ones(len(node)), graphs.batch, len(node)))


class Uniform(Operator):
    """All nodes of a graph in all clusters alike, rows summing to one."""

    def __init__(self, clusters: int, **sizes: Any) -> None:
        super().__init__()
        self.clusters = clusters

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        return from_dense(graphs, graphs.x.new_full((len(graphs.x), self.clusters), 1 / self.clusters))


class Soft(Operator):
    """S = softmax(XW) of one graph, with a loss that has no gradient of its own."""

    def __init__(self, in_features: int, clusters: int, **sizes: Any) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, clusters)

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        s = self.linear(graphs.x).softmax(dim=1)
        return from_dense(graphs, s, {"entropy": -(s * s.log()).sum(dim=1).mean()})


class Top(Operator):
    """Keeps the best `ratio` of the nodes of every graph, times their scores."""

    def __init__(self, in_features: int, ratio: float, **sizes: Any) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, 1)
        self.ratio = ratio

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        score = self.linear(graphs.x)[:, 0].tanh()
        keep = []
        for first, size in zip((graphs.sizes.cumsum(0) - graphs.sizes).tolist(), graphs.sizes.tolist(), strict=True):
            best = score[first : first + size].topk(-int(-self.ratio * size // 1)).indices
            keep.append(first + best.sort().values)
        node = torch.cat(keep)
        place = torch.full((len(score),), -1)
        place[node] = torch.arange(len(node))
        edges = place[graphs.edge_index]
        inside = (edges >= 0).all(dim=0)
        batch = graphs.batch[node]
        pooled = Graphs(
            graphs.x[node] * score[node, None], edges[:, inside], graphs.weights[inside], batch, graphs.count
        )
        return Coarse(pooled, Assignment(node, torch.arange(len(node)), score[node], batch, len(score)))


class Pairs(Operator):
    """Nodes 2i and 2i + 1 are a cluster, of one graph."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__()

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        n = len(graphs.x)
        s = torch.zeros(n, (n + 1) // 2)
        s[torch.arange(n), torch.arange(n) // 2] = 1
        return from_dense(graphs, s)


class Silent(Identity):
    """Does not say which nodes a cluster is made of."""

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        return Coarse(graphs, None)
