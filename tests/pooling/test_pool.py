"""Pooling by hard clusters equals PyG's on the same clusters; a Select's form, hard or soft, is its own choice."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.data import Batch
from torch_geometric.nn import max_pool
from torch_geometric.nn.pool.connect import FilterEdges
from torch_geometric.nn.pool.select import SelectTopK

from rethinking.data.batches import Batches
from rethinking.data.dataset import GraphDataset
from rethinking.graphs.levels import DenseLevel, SetLevel, SparseLevel
from rethinking.graphs.topology import Topology, expand
from rethinking.pooling.connect import AnyEdgeConnect, ProductConnect
from rethinking.pooling.lift import InverseLift, MeanLift, TransposeLift
from rethinking.pooling.matching import NeighbourMatching
from rethinking.pooling.pool import Pool
from rethinking.pooling.reduce import MaxReduce, SumReduce
from rethinking.pooling.select import Select, select_once
from rethinking.pooling.selection import HardSelection, Selection, SoftSelection
from tests.conftest import CPU


class Scored(Select):
    """The half of each graph's nodes with the highest sum of features, each a cluster of its own, by a gate."""

    def forward(self, x: Tensor, level: SparseLevel) -> HardSelection:
        top, score = level.topology, x.sum(dim=-1)
        cluster, count = np.full(top.rows, -1), (top.size + 1) // 2
        flat = score.detach().flatten().numpy()
        for graph, chosen in enumerate(count):
            rows = np.arange(top.rows)[level.rows_of(graph)]
            cluster[rows[np.argsort(-flat[rows], kind="stable")[:chosen]]] = np.arange(chosen)
        return HardSelection(cluster, count, level, score[..., None].tanh(), width=8)


def test_a_matching_equals_pygs_max_pool(level: SparseLevel) -> None:
    topology = level.topology
    # Few distinct values, so that several nodes of a cluster often hold the maximum. Not zero: there torch's
    # scatter gives a part of the gradient to the zero it starts from.
    values = torch.randint(0, 2, (3, topology.width, 4)).double() - 0.5
    x = values.clone().requires_grad_()
    pooled = Pool(NeighbourMatching(), MaxReduce(), AnyEdgeConnect())(x, level)
    coarse = pooled.level.topology

    rows = expand(topology.start, topology.size)
    nodes = torch.from_numpy(rows)
    relabel = torch.full((topology.rows,), -1)
    relabel[nodes] = torch.arange(len(nodes))
    x_pyg = values.view(-1, 4)[nodes].clone().requires_grad_()
    partner = NeighbourMatching().draw(topology, level.keys)
    cluster = relabel[torch.from_numpy(np.minimum(partner[rows], rows))]
    edge_index = relabel[torch.from_numpy(topology.edge_index)]
    batch = torch.from_numpy(topology.graph[rows])
    expected = max_pool(cluster, Batch(x=x_pyg, edge_index=edge_index, batch=batch))

    coarse_nodes = torch.from_numpy(expand(coarse.start, coarse.size))
    assert torch.equal(pooled.x.reshape(-1, 4)[coarse_nodes], expected.x)
    assert (torch.from_numpy(coarse.graph)[coarse_nodes] == expected.batch).all()
    assert edges(coarse, coarse_nodes) == set(map(tuple, expected.edge_index.T.tolist()))
    assert coarse.edge_index.shape == expected.edge_index.shape

    weight = torch.randn(len(coarse_nodes), 4, dtype=torch.double)
    (pooled.x.reshape(-1, 4)[coarse_nodes] * weight).sum().backward()
    (expected.x * weight).sum().backward()
    assert torch.allclose(x.grad.view(-1, 4)[nodes], x_pyg.grad)


def edges(topology: Topology, nodes: Tensor) -> set[tuple[int, int]]:
    """Those of a topology, nodes numbered without padding."""
    position = torch.full((topology.rows,), -1)
    position[nodes] = torch.arange(len(nodes))
    return set(map(tuple, position[torch.from_numpy(topology.edge_index)].T.tolist()))


def test_transposed_edges_are_kept_in_step(level: SparseLevel) -> None:
    x = torch.ones(3, level.topology.width, 1)
    coarse = Pool(NeighbourMatching(), MaxReduce(), AnyEdgeConnect())(x, level).level.topology
    forward = set(map(tuple, coarse.edge_index.T.tolist()))
    source = np.repeat(np.arange(coarse.rows), np.diff(coarse.out_ptr))
    backward = set(zip(source.tolist(), coarse.out_rows.tolist(), strict=True))
    assert forward == backward
    assert coarse.directed == level.topology.directed


def test_a_select_that_looks_at_features_and_drops_nodes_equals_pygs_top_k(level: SparseLevel) -> None:
    """Features by the gate, the edges among the nodes that stay, the gradient through the gate."""
    top = level.topology
    x = torch.randn(3, top.width, 4, dtype=torch.double, requires_grad=True)
    pooled = Pool(Scored(), MaxReduce(), AnyEdgeConnect())(x, level)
    coarse = pooled.level.topology
    kept = torch.from_numpy(expand(coarse.start, coarse.size))

    nodes = torch.from_numpy(expand(top.start, top.size))
    flat = x.flatten(0, 1)[nodes]
    select = SelectTopK(4, ratio=0.5, act="tanh").double()
    with torch.no_grad():
        select.weight.fill_(1)
    chosen = select(flat, torch.from_numpy(top.graph)[nodes])
    # PyG divides by the length of the projection inside the gate; ours does not.
    gate = (flat.sum(dim=1)[chosen.node_index]).tanh()
    expected = flat[chosen.node_index] * gate[:, None]
    relabel = torch.full((top.rows,), -1)
    relabel[nodes] = torch.arange(len(nodes))
    joined = FilterEdges()(chosen, relabel[torch.from_numpy(top.edge_index)], batch=torch.from_numpy(top.graph)[nodes])

    ours = pooled.x.flatten(0, 1)[kept]
    assert torch.allclose(ours, expected)
    assert edges(coarse, kept) == set(map(tuple, joined.edge_index.T.tolist()))
    weight = torch.randn_like(expected)
    gradients = [torch.autograd.grad((y * weight).sum(), x, retain_graph=True)[0] for y in (ours, expected)]
    assert torch.allclose(*gradients)


def test_hard_clusters_go_with_soft_families(level: SparseLevel) -> None:
    """As a matrix with as many columns for every graph: X' = SᵀX, A' = SᵀAS."""
    x = torch.randn(3, level.topology.width, 4)
    pooled = Pool(Scored(), SumReduce(), ProductConnect())(x, level)
    s, features = level.per_graph(pooled.selection.dense()), level.per_graph(x)
    assert s.shape[-1] == 8
    assert torch.allclose(pooled.level.per_graph(pooled.x), s.transpose(-1, -2) @ features, atol=1e-6)
    assert torch.allclose(pooled.level.adjacency, s.transpose(-1, -2) @ level.adjacency @ s, atol=1e-6)


def test_soft_clusters_do_not_go_with_a_family_of_hard_ones(level: SparseLevel) -> None:
    class Soft(Select):
        def forward(self, x: Tensor, level: SparseLevel) -> SoftSelection:
            return SoftSelection(torch.ones(3, x.shape[1], 2) / 2, level)

    with pytest.raises(TypeError, match="needs a Select that gives hard clusters"):
        Pool(Soft(), MaxReduce(), AnyEdgeConnect())(torch.ones(3, level.topology.width, 1), level)


def test_hard_clusters_without_a_width_do_not_go_with_a_soft_family(level: SparseLevel) -> None:
    """Whose predictions would depend on the other graphs of a batch."""
    with pytest.raises(TypeError, match="`width`"):
        Pool(NeighbourMatching(), SumReduce(), ProductConnect())(torch.ones(3, level.topology.width, 1), level)


@pytest.mark.parametrize("wrong", ["count", "padding", "width", "length", "below"])
def test_hard_clusters_that_are_not_numbered_as_they_should_are_refused(level: SparseLevel, wrong: str) -> None:
    """Before compiled code reads what is not there."""
    good = NeighbourMatching()(torch.ones(3, level.topology.width, 1), level)
    cluster, count, width = good.cluster.copy(), good.count.copy(), None
    HardSelection(cluster, count, level, width=int(count.max()))
    if wrong == "count":
        count[-1] -= 1
    elif wrong == "padding":
        cluster[level.topology.graph == len(count)] = 0
    elif wrong == "width":
        width = int(count.max()) - 1
    elif wrong == "length":
        cluster = cluster[:-1]
    else:
        cluster[0] = -2
    said = r"cluster is of int64 .*; expected \[R·N\]" if wrong == "length" else "numbered 0 … count−1"
    with pytest.raises(ValueError, match=said):
        HardSelection(cluster, count, level, width=width)


def some_selections(level: SparseLevel) -> dict[str, Selection]:
    x = torch.randn(3, level.topology.width, 4)
    scores = torch.randn(3, level.topology.width, 5)
    return {
        "matching": NeighbourMatching()(x, level),
        "dropping": Scored()(x, level),
        "soft": SoftSelection(scores.softmax(dim=-1), level),
    }


@pytest.mark.parametrize("name", ["matching", "dropping", "soft"])
def test_a_selection_says_the_same_in_every_form(level: SparseLevel, name: str) -> None:
    selection = some_selections(level)[name]
    s = level.per_graph(selection.dense())
    assert torch.allclose(selection.sizes, s.sum(dim=2), atol=1e-6)
    assert torch.allclose(level.per_graph(selection.row_sums), s.sum(dim=3, keepdim=True), atol=1e-6)
    for graph in range(3 * level.graphs):
        alone = selection.of_graph(graph)
        rows = s.flatten(0, 1)[graph, : len(alone), : alone.shape[1]]
        assert np.allclose(rows.numpy(), alone, atol=1e-6)
        members = selection.members.flatten()[level.rows_of(graph)].numpy()
        inside = members >= 0
        assert (np.abs(alone[inside]).argmax(axis=1) == members[inside]).all()
        assert not alone[~inside].any()
    assert torch.equal(selection.soft().dense(), selection.dense())


@pytest.mark.parametrize("name", ["matching", "dropping", "soft"])
def test_lift_takes_features_of_clusters_back_to_their_nodes(level: SparseLevel, name: str) -> None:
    selection = some_selections(level)[name]
    soft = selection.soft()
    s = level.per_graph(soft.dense())
    x = torch.randn(3, level.graphs * s.shape[-1], 3)
    clusters = x.unflatten(1, (level.graphs, -1))
    assert torch.allclose(level.per_graph(soft.lift(x)), s @ clusters, atol=1e-5)
    sums = s.sum(dim=-1, keepdim=True)
    mean = s @ clusters / torch.where(sums == 0, 1, sums)
    assert torch.allclose(level.per_graph(MeanLift()(x, soft)), mean, atol=1e-4)
    # What is lifted reduces to what it was lifted from, as far as clusters are independent.
    back = soft.reduce(InverseLift()(x, soft)).unflatten(1, (level.graphs, -1))
    project = s.transpose(-1, -2) @ torch.linalg.pinv(s.transpose(-1, -2))
    assert torch.allclose(back, project @ clusters, atol=1e-3)


@pytest.mark.parametrize("name", ["matching", "dropping"])
def test_packed_rows_of_hard_clusters_lift_as_those_of_a_matrix(level: SparseLevel, name: str) -> None:
    selection = some_selections(level)[name]
    packed = torch.randn(3, selection.place[0], 3)
    coarse = AnyEdgeConnect()(selection, same_always=False)
    padded = torch.zeros(3, level.graphs, selection.dense().shape[-1], 3)
    padded[:, :, : coarse.per_graph(packed).shape[2]] = coarse.per_graph(packed)
    assert torch.equal(selection.by_graph(packed), padded)
    for lift in (TransposeLift(), MeanLift(), InverseLift()):
        assert torch.allclose(lift(packed, selection), lift(padded.flatten(1, 2), selection.soft()), atol=1e-4)


@pytest.mark.parametrize("level", [SetLevel(2, 3, 5, CPU), DenseLevel(torch.rand(2, 3, 5, 5))])
def test_hard_clusters_of_dense_graphs(level: SetLevel) -> None:
    """All nodes are nodes there: reduced, counted and lifted as by their matrix."""
    cluster = torch.randint(-1, 3, (2, 15))
    selection = HardSelection.of_nodes(cluster, torch.full((2, 3), 3), level, torch.rand(2, 15, 1), width=3)
    s, x = level.per_graph(selection.dense()), torch.randn(2, 15, 4)
    reduced = selection.soft().reduce(x).unflatten(1, (3, 3))
    assert torch.allclose(reduced, s.transpose(-1, -2) @ level.per_graph(x), atol=1e-5)
    assert torch.allclose(selection.sizes, s.sum(dim=2), atol=1e-6)
    clusters = torch.randn(2, 9, 4)
    assert torch.allclose(level.per_graph(selection.lift(clusters)), s @ clusters.unflatten(1, (3, 3)), atol=1e-6)
    for graph in range(6):
        assert np.allclose(selection.of_graph(graph), s.flatten(0, 1)[graph], atol=1e-6)


class Precomputed(Select):
    """By the distance from a graph's first node, hard or soft; counts how often it is asked."""

    precomputable = True

    def __init__(self, soft: bool) -> None:
        super().__init__()
        self.soft, self.calls = soft, 0

    def forward(self, x: Tensor, level: SparseLevel) -> Selection:
        assert x.shape[-1] == 0, "it must not see features"
        self.calls += 1
        near = (level.from_graphs(level.hops[..., 0, :, None].nan_to_num(posinf=9.0)) <= 1).float()
        if self.soft:
            return SoftSelection(torch.cat([near, 1 - near], dim=-1), level)
        weight = (1 + level.degree).rsqrt()
        return HardSelection.of_nodes((1 - near[..., 0]).long(), torch.full_like(level.sizes, 2), level, weight)


@pytest.mark.parametrize("soft", [False, True])
def test_what_depends_on_the_graph_alone_is_computed_once_a_graph(dataset: GraphDataset, soft: bool) -> None:
    select = Precomputed(soft)
    batches = Batches(dataset, CPU)
    connect = ProductConnect() if soft else AnyEdgeConnect()
    pool = Pool(select, SumReduce() if soft else MaxReduce(), connect)
    keys = np.zeros(2, np.uint64)
    graphs = np.arange(12).reshape(2, 6)
    for number, order in enumerate((graphs, graphs[::-1, ::-1].copy(), graphs.reshape(6, 2).T.copy())):
        batch = batches.batch(order, keys)
        pooled = pool(batch.x, batch.level)
        assert select.calls == 1
        fresh = select(batch.x[..., :0], batch.level)
        select.calls -= 1
        for graph in range(12):
            assert np.array_equal(pooled.selection.of_graph(graph), fresh.of_graph(graph)), number
        if not soft:
            assert pooled.level.origin is batch.level.origin, "the clusters are the same every time, so kept as well"
    batch = batches.batch(np.array([[3, 20], [5, 4]]), keys)
    pool(batch.x, batch.level)
    assert select.calls == 2, "a new graph is computed"


class ByBatch(Select):
    """Soft clusters, as many as the largest graph of the batch has nodes: each node its own."""

    precomputable = True

    def forward(self, x: Tensor, level: SparseLevel) -> Selection:
        return SoftSelection(torch.eye(int(level.sizes.max())).double()[level.position], level)


def test_kept_parts_of_different_widths_are_joined(dataset: GraphDataset) -> None:
    batches, pool = Batches(dataset, CPU), Pool(ByBatch(), SumReduce(), ProductConnect())
    for graphs in ([9], [4, 5, 6], [9, 4, 5]):
        batch = batches.batch(np.array([graphs]), np.zeros(1, np.uint64))
        pooled = pool(batch.x, batch.level)
        for place in range(len(graphs)):
            rows = batch.x[0][batch.level.rows_of(place)]
            assert torch.equal(pooled.level.per_graph(pooled.x)[0, place, : len(rows)], rows)


def test_one_select_at_two_depths_is_asked_at_each(dataset: GraphDataset) -> None:
    pool = Pool(Precomputed(soft=False), MaxReduce(), AnyEdgeConnect())
    batch = Batches(dataset, CPU).batch(np.arange(12).reshape(2, 6), np.zeros(2, np.uint64))
    once = pool(batch.x, batch.level)
    twice = pool(once.x, once.level)
    assert pool.select.calls == 2
    assert len(twice.selection.cluster) == once.level.topology.rows


def test_nothing_is_kept_of_what_is_random_or_learned(dataset: GraphDataset) -> None:
    batch = Batches(dataset, CPU).batch(np.arange(12).reshape(2, 6), np.zeros(2, np.uint64))
    pooled = Pool(NeighbourMatching(), MaxReduce(), AnyEdgeConnect())(batch.x, batch.level)
    assert batch.level.origin is not None and not batch.level.origin.kept
    assert pooled.level.origin is None
    assert DenseLevel(torch.rand(1, 1, 2, 2)).origin is None


class Numbers(Select):
    def forward(self, x: torch.Tensor, level: Any) -> Selection:
        return torch.zeros(x.shape[:2], dtype=torch.long)  # type: ignore[return-value]


def test_what_has_another_shape_is_no_assignment(level: SparseLevel) -> None:
    """Compiled loops trust the shapes: of a wrong one they would write where nothing is theirs."""
    nodes = level.topology.width
    for wrong in (torch.ones(3, 4, nodes), torch.ones(nodes, 4), torch.ones(1, nodes, 4), torch.ones(3, nodes - 1, 4),
                  torch.ones(3, 1, nodes, 4), torch.ones(3, nodes, 4, dtype=torch.long)):  # fmt: skip
        with pytest.raises(ValueError, match=rf"expected \[R, N, k\], here \[3, {nodes}, k\]"):
            SoftSelection(wrong, level)
    good = NeighbourMatching()(torch.ones(3, nodes, 1), level)
    count = torch.from_numpy(good.count).view(3, -1)
    for cluster in (good.members[0], good.members.double(), good.members[:, :-1]):
        with pytest.raises(ValueError, match=r"cluster is .*expected \[R, N\] of whole numbers"):
            HardSelection.of_nodes(cluster, count, level)
    with pytest.raises(ValueError, match=r"count is .*expected \[R, B\]"):
        HardSelection.of_nodes(good.members, count.flatten(), level)
    with pytest.raises(ValueError, match=r"weight is .*expected \[R, N, 1\]"):
        HardSelection.of_nodes(good.members, count, level, weight=torch.ones(3))
    with pytest.raises(TypeError, match="returns a Tensor; expected a Selection"):
        select_once(Numbers(), torch.ones(3, nodes, 1), level)
