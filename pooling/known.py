"""What an operator that looks at no features makes of a graph, found once in the place of every step.

Its clusters and their edges follow from the graph's edges, and the clusters' features are sums of the nodes' with fixed
weights, which pooling the identity shows. So a step is those sums, and the operator is not called.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from rethinking.pooling.operators.explained import alike, some_graphs
from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, Operator, alone
from rethinking.pooling.operators.sentences import checked
from rethinking.randomness import generators_follow


@dataclass(frozen=True, eq=False)
class Known:
    """Of one graph of n nodes, with K clusters.

    sums: cluster and node, int64 [2, M], and `weights` [M, H]: block h of a cluster's features, as wide as a node's, is
    the sum of `weights[:, h]` times those of its nodes. assignment: cluster, node and weight of the entries of S, as
    int64 [2, L] and [L]. edge_index: int64 [2, E]. edge_weight: [E].
    """

    nodes: int
    clusters: int
    sums: np.ndarray
    weights: np.ndarray
    assignment: tuple[np.ndarray, np.ndarray]
    edge_index: np.ndarray
    edge_weight: np.ndarray


@torch.no_grad()
def know(pool: Callable[[Graphs], Coarse], graph: Graphs) -> Known:
    """Of one graph. pool: what pools it. Raises ValueError for what is no pooled graph."""
    nodes = len(graph.x)
    identity = replace(graph, x=torch.eye(nodes, dtype=graph.x.dtype, device=graph.x.device))
    made = checked(pool(identity), identity, "the operator", numbers=False)
    assert made.assignment is not None
    blocks = made.graphs.x.view(len(made.graphs.x), -1, nodes)
    sums = (blocks != 0).any(dim=1).nonzero().T
    return Known(
        nodes=nodes,
        clusters=len(blocks),
        sums=sums.cpu().numpy(),
        weights=blocks.mT[sums[0], sums[1]].cpu().numpy(),
        assignment=(
            torch.stack([made.assignment.cluster, made.assignment.node]).cpu().numpy(),
            made.assignment.weight.cpu().numpy(),
        ),
        edge_index=made.graphs.edge_index.cpu().numpy(),
        edge_weight=made.graphs.weights.cpu().numpy(),
    )


def pooled(known: Sequence[Known], x: Tensor) -> Coarse:
    """Graphs that are known, one after another, with these features of their nodes. x: [N, F]."""
    nodes = np.array([part.nodes for part in known])
    clusters = np.array([part.clusters for part in known])
    first = np.stack([np.cumsum(clusters) - clusters, np.cumsum(nodes) - nodes])

    def moved(parts: Sequence[np.ndarray], by: np.ndarray) -> Tensor:
        """Pairs of numbers that are counted in each graph, counted over all of them. by: [2, B]."""
        sizes = [part.shape[1] for part in parts]
        return torch.from_numpy(np.concatenate(parts, axis=1) + np.repeat(by, sizes, axis=1)).to(x.device)

    def joined(parts: Sequence[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.concatenate(parts)).to(x.device)

    cluster, node = moved([part.sums for part in known], first)
    rows = x[node][:, None] * joined([part.weights for part in known]).to(x.dtype)[..., None]
    sums = x.new_zeros(int(clusters.sum()), known[0].weights.shape[1] * x.shape[1])
    of = torch.from_numpy(np.repeat(np.arange(len(known)), clusters)).to(x.device)
    graphs = Graphs(
        sums.index_add(0, cluster, rows.flatten(1)),
        moved([part.edge_index for part in known], first[[0, 0]]),
        joined([part.edge_weight for part in known]),
        of,
        len(known),
    )
    to, entry = moved([part.assignment[0] for part in known], first)
    weights = joined([part.assignment[1] for part in known])
    return Coarse(graphs, Assignment(entry, to, weights, of, len(x)))


def is_known_by_edges(operator: Operator) -> bool:
    """Whether all of what an operator makes of a graph can be known. Seen on a small one, on which a fault may show."""
    if operator.sees_features or not operator.says_assignment:
        return False
    graph = alone(some_graphs(3), 0)
    try:
        with generators_follow(0):
            expected = checked(operator(graph), graph, "").graphs.x
        with generators_follow(0):
            found = pooled([know(operator, graph)], graph.x).graphs.x
    except Exception:  # What is wrong will be said where it matters.
        return False
    return alike(found, expected)
