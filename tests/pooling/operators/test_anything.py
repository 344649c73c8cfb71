"""Poolers of anybody's: how they are called, and what they return; bad ones are in `test_bad_poolers.py`."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rethinking.pooling.operators.interface import Graphs
from tests.pooling.operators.conftest import assert_same, matrix, needs_tgp, pooled, shuffled
from tests.pooling.operators.conftest import operator as known

GOOD = '''
from types import SimpleNamespace
import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import TopKPooling
from torch_geometric.nn.pool.connect import FilterEdges
from torch_geometric.nn.pool.select import SelectTopK
from torch_geometric.utils import coalesce
from rethinking.pooling.operators.interface import Coarse, Operator


class Halves(nn.Module):
    """Keeps every second node of a graph, the first one always."""

    def __init__(self, in_channels, k):
        super().__init__()
        assert (in_channels, k) == (4, 3)
        self.lin = nn.Linear(in_channels, in_channels)

    def keep(self, x, edge_index, batch):
        first = torch.searchsorted(batch, batch)
        perm = ((torch.arange(len(x)) - first) % 2 == 0).nonzero()[:, 0]
        number = torch.full((len(x),), -1)
        number[perm] = torch.arange(len(perm))
        edges = number[edge_index]
        return self.lin(x)[perm], edges[:, (edges >= 0).all(0)], batch[perm], perm

    def forward(self, x, edge_index, batch):
        x, edge_index, batch, _ = self.keep(x, edge_index, batch)
        return x, edge_index, batch


class SaysNodes(Halves):
    def forward(self, x, edge_index, edge_attr=None, batch=None):
        x, edge_index, batch, perm = self.keep(x, edge_index, batch)
        return x, edge_index, None, batch, perm, torch.full((len(x),), 0.5), x.pow(2).mean()


class SaysClusters(nn.Module):
    def forward(self, x, edge_index, batch):
        sizes = torch.bincount(batch)
        pooled = torch.zeros(len(sizes), x.shape[1]).index_add(0, batch, x)
        return pooled, edge_index[:, :0], torch.arange(len(sizes)), SimpleNamespace(cluster=batch)


class Weighs(Halves):
    """Keeps nodes, and multiplies their features by a number each: all that it does can be seen from outside."""

    def __init__(self, in_channels, k):
        super().__init__(in_channels, k)
        self.lin = nn.Identity()
        self.score = nn.Linear(in_channels, 1)

    def forward(self, x, edge_index, edge_attr=None, batch=None):
        kept, edge_index, batch, perm = self.keep(x, edge_index, batch)
        return kept * self.score(kept).sigmoid(), edge_index, None, batch, perm


class Contracts(nn.Module):
    """Puts the first two nodes of a graph together, and says in which cluster each node is."""

    def forward(self, x, edge_index, batch):
        new = torch.ones(len(x), dtype=torch.int64)
        new[torch.searchsorted(batch, torch.arange(int(batch.max()) + 1)) + 1] = 0
        cluster = new.cumsum(0) - 1
        sums = torch.zeros(int(new.sum()), x.shape[1]).index_add(0, cluster, x)
        edges = torch.unique(cluster[edge_index], dim=1)
        batch = torch.zeros(len(sums), dtype=torch.int64).scatter(0, cluster, batch)
        return 3 * sums, edges[:, edges[0] != edges[1]], batch, SimpleNamespace(cluster=cluster)


class Products(nn.Module):
    """Puts the first two nodes of a graph together, and joins clusters by the sums of the weights between them."""

    loops = True

    def forward(self, x, edge_index, batch, edge_weight=None):
        pooled, _, coarse, says = Contracts()(x, edge_index, batch)
        weight = torch.ones(edge_index.shape[1]) if edge_weight is None else edge_weight
        edges = says.cluster[edge_index]
        kept = torch.full_like(weight, True, dtype=torch.bool) if self.loops else edges[0] != edges[1]
        edges, weight = coalesce(edges[:, kept], weight[kept])
        return {"x": pooled, "edge_index": edges, "edge_weight": weight, "batch": coarse, "cluster": says.cluster}


class WithoutLoops(Products):
    loops = False


class Halved(Products):
    """Its weights are its own: they do not follow from its clusters in any of the usual ways."""

    def forward(self, x, edge_index, batch, edge_weight=None):
        made = super().forward(x, edge_index, batch, edge_weight)
        return made | {"edge_weight": made["edge_weight"] / 2}


class AnObject(Halves):
    def forward(self, x, edge_index, batch, edge_weight):
        assert edge_weight.shape == edge_index.shape[1:]
        x, edge_index, batch, perm = self.keep(x, edge_index, batch)
        return Data(x=x, edge_index=edge_index, edge_attr=torch.ones(edge_index.shape[1], 1), batch=batch, perm=perm,
                    loss={"size": x.mean(), "text": "no loss"})


class Wider(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.out_channels = 2 * out_channels
        self.lin = nn.Linear(in_channels, self.out_channels)

    def forward(self, x, edge_index, batch):
        return {"x": self.lin(x), "edge_index": edge_index, "batch": batch}


class WithSelect(nn.Module):
    def __init__(self, in_channels, ratio=0.1):
        super().__init__()
        self.select, self.connect = SelectTopK(in_channels, ratio), FilterEdges()

    def forward(self, x, edge_index, edge_weight=None, batch=None):
        kept = self.select(x, batch)
        connected = self.connect(kept, edge_index, edge_weight, batch)
        x = x[kept.node_index] * kept.weight[:, None]
        return x, connected.edge_index, connected.edge_attr, connected.batch


class Ours(Operator):
    says_assignment = False

    def __init__(self, in_features, max_nodes, extra=1):
        super().__init__()
        self.seen = in_features, max_nodes, extra

    def forward(self, graphs, given=None):
        return Coarse(graphs, None)
'''


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "good_poolers.py").write_text(GOOD)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_tuple_without_an_assignment_is_a_black_box(graphs: Graphs) -> None:
    pool, found = pooled("good_poolers.Halves", graphs)
    assert found.assignment is None and not pool.says_assignment
    with pytest.raises(ValueError, match="does not say what it selects"):
        pool(graphs, given=known("pyg/TopKPooling")(graphs).assignment)


def test_nodes_and_their_scores(graphs: Graphs) -> None:
    pool, found = pooled("good_poolers.SaysNodes", graphs)
    assert found.assignment is not None and not pool.says_assignment
    assert found.assignment.weight.unique().tolist() == [0.5]
    assert torch.equal(graphs.batch[found.assignment.node], found.graphs.batch)
    assert list(found.losses) == ["loss"]


def test_clusters_of_nodes(graphs: Graphs) -> None:
    _, found = pooled("good_poolers.SaysClusters", graphs)
    assert found.assignment is not None
    torch.testing.assert_close(found.assignment.dense().t() @ graphs.x, found.graphs.x)


@pytest.mark.parametrize("name", ["Weighs", "Contracts", "Products", "WithoutLoops"])
def test_clusters_can_be_given_where_all_that_follows_from_them_is_seen(name: str, graphs: Graphs) -> None:
    pool, found = pooled(f"good_poolers.{name}", graphs)
    assert pool.says_assignment and found.assignment is not None
    assert_same(found, pool(graphs, given=found.assignment))
    other = shuffled(found.assignment, graphs)
    torch.testing.assert_close(pool(graphs, given=other).graphs.x, other.dense().t() @ graphs.x)
    if name == "Weighs":
        pool(graphs, given=other).graphs.x.sum().backward()
        assert pool.pooler.score.weight.grad.abs().sum() > 0  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["Products", "WithoutLoops"])
def test_other_clusters_are_joined_in_its_own_way(name: str, graphs: Graphs) -> None:
    pool, found = pooled(f"good_poolers.{name}", graphs)
    assert found.assignment is not None
    other = shuffled(found.assignment, graphs)
    s = (other.dense() != 0).to(graphs.x)
    expected = s.T @ matrix(graphs) @ s
    if name == "WithoutLoops":
        expected.fill_diagonal_(0)
    torch.testing.assert_close(matrix(pool(graphs, given=other).graphs), expected)


def test_a_node_without_features_keeps_its_place(graphs: Graphs) -> None:
    """Its weight cannot be seen, as any would do; it is not zero, which other nodes would then have in a twin."""
    pool, _ = pooled("good_poolers.Weighs", graphs)
    some = replace(graphs, x=graphs.x.clone())
    some.x[:3] = 0
    found = pool(some).assignment
    assert found is not None and bool((found.weight != 0).all())


def test_other_clusters_are_not_given_where_its_edges_do_not_follow_from_them(graphs: Graphs) -> None:
    pool, _ = pooled("good_poolers.Halved", graphs)
    assert not pool.says_assignment


def test_an_object(graphs: Graphs) -> None:
    _, found = pooled("good_poolers.AnObject", graphs)
    assert found.assignment is not None and list(found.losses) == ["size"]
    assert found.graphs.edge_weight is not None and found.graphs.edge_weight.dim() == 1


def test_another_width(graphs: Graphs) -> None:
    pool, found = pooled("good_poolers.Wider", graphs)
    assert pool.out_features == found.graphs.x.shape[1] == 8


def test_what_select_returns_can_be_given(graphs: Graphs) -> None:
    pool, found = pooled("good_poolers.WithSelect", graphs)
    assert pool.says_assignment and found.assignment is not None
    assert len(found.graphs.x) == sum((size + 1) // 2 for size in (9, 7, 12, 8))  # the harness's ratio
    assert_same(found, pool(graphs, given=found.assignment))
    other = shuffled(found.assignment, graphs)
    torch.testing.assert_close(pool(graphs, given=other).graphs.x, other.dense().t() @ graphs.x)
    with pytest.raises(ValueError, match=r"good_poolers\.WithSelect fails on .*one node"):
        pool(graphs, given=known("pyg/EdgePooling")(graphs).assignment)


@pytest.mark.parametrize("name", ["TopKPooling", "SAGPooling"])
def test_pygs_poolers_are_understood_without_their_adapters(name: str, graphs: Graphs) -> None:
    _, found = pooled(f"torch_geometric.nn.{name}", graphs)
    assert_same(found, known(f"pyg/{name}")(graphs))


def test_tgps_poolers_are_understood(graphs: Graphs) -> None:
    needs_tgp()
    pool, found = pooled("tgp.poolers.MinCutPooling", graphs)
    assert pool.says_assignment
    assert_same(found, known("tgp/mincut")(graphs))
    assert_same(found, pool(graphs, given=found.assignment))


@pytest.mark.parametrize(("name", "says"), [("KMISPooling", True), ("EigenPooling", False), ("NoPool", False)])
def test_tgps_poolers_say_their_clusters_if_others_can_be_given(name: str, says: bool, graphs: Graphs) -> None:
    """Not by a selector that says more than S, nor where what is selected is ignored."""
    needs_tgp()
    pool, found = pooled(f"tgp.poolers.{name}", graphs)
    assert pool.says_assignment == says and found.assignment is not None


def test_our_own_interface_and_arguments(graphs: Graphs) -> None:
    pool, found = pooled("good_poolers.Ours", graphs, extra=5)
    assert pool.seen == (4, 12, 5)
    assert torch.equal(matrix(found.graphs), matrix(graphs))
