"""PyG's poolers of graphs that lie block-diagonal; `pyg_dense.py` has those of padded ones.

Each is given the library's class with its arguments (`pooler`, a partial) and adds the sizes. Nothing here does what
its forward does, but for clusters that are given, where reducing and connecting stand beside it, and for two that merge
the ends of edges in a loop or in matrices of all nodes, which takes many times as long as it needs to.
PANPooling is not among them: it needs torch_sparse, and pools by what a PANConv before it returns.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn.pool.select import SelectOutput
from torch_geometric.utils import add_remaining_self_loops, remove_self_loops, softmax

from rethinking.pooling.operators.coarsen import joined, neighbours
from rethinking.pooling.operators.contraction import components, merge_edges
from rethinking.pooling.operators.dense import ascending, renumbered
from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, MatrixAssignment, Operator
from rethinking.pooling.operators.replaced import constantly, replaced
from rethinking.pooling.operators.sentences import in_one_sentence

MakePooler = Callable[..., Any]


class PygOperator(Operator):
    """The base: holds the library's pooler, and takes the sizes that the harness gives any operator."""

    pooler: Any

    def __init__(self, pooler: nn.Module) -> None:
        super().__init__()
        self.pooler = pooler
        self.name = f"PyG's {type(pooler).__name__}"


class NodeSelection(PygOperator):
    """Keeps some nodes, times their score: TopKPooling (Gao and Ji 2019), SAGPooling (Lee et al. 2019).

    Given clusters must be of one node each. They are what the pooler's `select` returns then.
    """

    def __init__(self, in_features: int, clusters: int, ratio: float, max_nodes: int, pooler: MakePooler) -> None:
        super().__init__(pooler(in_channels=in_features, ratio=ratio))

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        """See the base class."""
        selected = {} if given is None else {"forward": constantly(single_nodes(given, self.name))}
        with in_one_sentence(self.name, graphs), replaced(self.pooler.select, **selected):
            x, edge_index, weight, batch, perm, score = self.pooler(
                graphs.x, graphs.edge_index, graphs.edge_weight, graphs.batch
            )
        clusters = torch.arange(len(perm), device=perm.device)
        assignment = Assignment(perm, clusters, score, batch, len(graphs.x))
        return Coarse(Graphs(x, edge_index, weight, batch, graphs.count), assignment)


class Neighbourhoods(PygOperator):
    """ASAPooling (Ranjan et al. 2020): keeps some nodes with their neighbours, weighted by attention, times a fitness.

    A column of S sums to its fitness, and without it, to one: so fitness and attention are both known of S. Dropout of
    the attention, which would change that, is not offered.
    """

    def __init__(self, in_features: int, clusters: int, ratio: float, max_nodes: int, pooler: MakePooler) -> None:
        super().__init__(pooler(in_channels=in_features, ratio=ratio, dropout=0.0))

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        """See the base class."""
        if given is not None:
            return Coarse(self._connected(given.reduce(graphs.x), given, graphs), given)
        seen: dict[str, Tensor] = {}
        hooks = [
            self.pooler.att.register_forward_hook(lambda _, __, out: seen.update(attention=out)),
            self.pooler.select.register_forward_pre_hook(lambda _, inputs: seen.update(fitness=inputs[0])),
        ]
        try:
            with in_one_sentence(self.name, graphs):
                x, edge_index, weight, batch, perm = self.pooler(
                    graphs.x, graphs.edge_index, graphs.edge_weight, graphs.batch
                )
        finally:
            for hook in hooks:
                hook.remove()
        assignment = self._assignment(graphs, perm, batch, seen["attention"], seen["fitness"])
        if weight is not None:
            # The same weights once more: those of the library have no gradient.
            return Coarse(self._connected(x, assignment, graphs), assignment)
        return Coarse(Graphs(x, edge_index, None, batch, graphs.count), assignment)

    def _assignment(
        self, graphs: Graphs, perm: Tensor, batch: Tensor, attention: Tensor, fitness: Tensor
    ) -> Assignment:
        edges, _ = add_remaining_self_loops(graphs.edge_index, num_nodes=len(graphs.x))
        score = softmax(F.leaky_relu(attention.view(-1), self.pooler.negative_slope), edges[1], num_nodes=len(graphs.x))
        cluster = perm.new_full((len(graphs.x),), -1)
        cluster[perm] = torch.arange(len(perm), device=perm.device)
        node, centre = edges[:, cluster[edges[1]] >= 0]
        weight = (score * fitness[edges[1]])[cluster[edges[1]] >= 0]
        return Assignment(node, cluster[centre], weight, batch, len(graphs.x))

    def _connected(self, x: Tensor, assignment: Assignment, graphs: Graphs) -> Graphs:
        fitness = assignment.weight.new_zeros(assignment.clusters).index_add(0, assignment.cluster, assignment.weight)
        entry = assignment.weight / fitness[assignment.cluster]
        edges, weight = add_remaining_self_loops(graphs.edge_index, graphs.weights, 1.0, len(graphs.x))
        with_loops = Graphs(graphs.x, edges, weight, graphs.batch, graphs.count)
        pooled, weight = joined(with_loops, assignment, entry, weight)
        tidy = add_remaining_self_loops if self.pooler.add_self_loops else remove_self_loops
        pooled, weight = tidy(pooled, weight)
        return Graphs(x, pooled, None if graphs.edge_weight is None else weight, assignment.batch, graphs.count)


class EdgeContraction(PygOperator):
    """EdgePooling (Diehl 2019): merges the ends of edges by their score, one after another. Weights are not used.

    Features are summed and multiplied by the edge's score, 1 for a node that is not merged; loops stay.
    """

    def __init__(self, in_features: int, clusters: int, ratio: float, max_nodes: int, pooler: MakePooler) -> None:
        super().__init__(pooler(in_channels=in_features))

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        """See the base class."""
        if given is not None:
            edges = neighbours(graphs, given)
            return Coarse(Graphs(given.reduce(graphs.x), edges, None, given.batch, graphs.count), given)
        with in_one_sentence(self.name, graphs), replaced(self.pooler, _merge_edges=merge_edges):
            x, edge_index, batch, merged = self.pooler(graphs.x, graphs.edge_index, graphs.batch)
        nodes = torch.arange(len(graphs.x), device=x.device)
        weight = merged.new_edge_score[merged.cluster]
        assignment = Assignment(nodes, merged.cluster, weight, batch, len(graphs.x))
        return Coarse(*ascending(Graphs(x, edge_index, None, batch, graphs.count), assignment))


class EdgeComponents(PygOperator):
    """ClusterPooling (2024): clusters are the components of the edges whose score is above a threshold.

    S is who is in which cluster. A cluster's features are the sum over edges that end in it of their sources', times
    the edge's score, and a node that is alone in its cluster counts with 1. Weights of edges are not used.
    """

    def __init__(self, in_features: int, clusters: int, ratio: float, max_nodes: int, pooler: MakePooler) -> None:
        super().__init__(pooler(in_channels=in_features))

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        """See the base class."""
        score = self._scores(graphs)
        assignment = self._components(graphs, score) if given is None else given
        (source, target), _ = remove_self_loops(graphs.edge_index)
        messages = graphs.x[source] * score[:, None]
        received = torch.zeros_like(graphs.x).index_add(0, target, messages)
        members = torch.bincount(assignment.cluster, minlength=assignment.clusters)
        alone = (members[assignment.cluster] == 1)[:, None]
        rows = (received[assignment.node] + graphs.x[assignment.node] * alone) * assignment.weight[:, None]
        x = graphs.x.new_zeros(assignment.clusters, rows.shape[1]).index_add(0, assignment.cluster, rows)
        edges, _ = remove_self_loops(neighbours(graphs, assignment))
        return Coarse(Graphs(x, edges, None, assignment.batch, graphs.count), assignment)

    def _scores(self, graphs: Graphs) -> Tensor:
        """Of each edge that is no loop, as the library's forward has them, which keeps them to itself."""
        scores: list[Tensor] = []
        with in_one_sentence(self.name, graphs), replaced(
            self.pooler, _merge_edges=lambda *inputs: scores.append(inputs[3])
        ):  # fmt: skip
            self.pooler(graphs.x, graphs.edge_index, graphs.batch)
        return scores[0]

    def _components(self, graphs: Graphs, score: Tensor) -> Assignment:
        """What the library's `_merge_edges` finds."""
        edges, _ = remove_self_loops(graphs.edge_index)
        nodes = torch.arange(len(graphs.x), device=score.device)
        cluster = components(edges[:, score > self.pooler.threshold], len(nodes))
        batch = graphs.batch.new_empty(int(cluster.max()) + 1).scatter_(0, cluster, graphs.batch)
        found = Assignment(nodes, cluster, torch.ones_like(graphs.x[:, 0]), batch, len(nodes))
        return renumbered(found, batch.argsort(stable=True))


class Memory(PygOperator):
    """MemPooling (Khasahmadi et al. 2020): soft clusters by the distance to keys. There are no edges between them.

    hidden: the width of the clusters' features; None for that of the nodes. kl_weight: of the loss that sharpens S.
    """

    def __init__(
        self, in_features: int, clusters: int, ratio: float, max_nodes: int,
        pooler: MakePooler, kl_weight: float, hidden: int | None = None,
    ) -> None:  # fmt: skip
        width = hidden or in_features
        super().__init__(pooler(in_channels=in_features, out_channels=width, num_clusters=clusters))
        self.out_features = width
        self.kl_weight = kl_weight

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        """See the base class."""
        no_edges = graphs.edge_index.new_zeros(2, 0)
        if given is not None:
            x = self.pooler.lin(given.reduce(graphs.x))
            return Coarse(Graphs(x, no_edges, None, given.batch, graphs.count), given)
        with in_one_sentence(self.name, graphs):
            x, s = self.pooler(graphs.x, graphs.batch, batch_size=graphs.count)
            losses = {"kl": self.kl_weight * self.pooler.kl_loss(s)}
        exists = torch.ones_like(s[:, 0], dtype=torch.bool)
        places = torch.arange(s.shape[1], device=s.device) < graphs.sizes[:, None]
        assignment = MatrixAssignment(s[places], graphs.batch, exists)
        return Coarse(Graphs(x.flatten(0, 1), no_edges, None, assignment.batch, graphs.count), assignment, losses)


def single_nodes(given: Assignment, name: str) -> Any:
    """given: clusters of one node each. Returns what PyG's Select would return for them.

    Raises ValueError for other clusters.
    """
    if not torch.equal(given.cluster.sort().values, torch.arange(given.clusters, device=given.cluster.device)):
        raise ValueError(f"{name} can pool by clusters of one node each, but by no others.")
    return select_output(given)


def select_output(given: Assignment) -> Any:
    """What PyG's Select would return for these clusters, entries in the order of clusters."""
    order = given.cluster.argsort(stable=True)
    return SelectOutput(given.node[order], given.nodes, given.cluster[order], given.clusters, given.weight[order])
