"""Poolers of anybody's: good ones are understood, bad ones are told apart, each in one sentence."""

import re
from pathlib import Path

import pytest
import torch

from rethinking.pooling.operators.anything import operator
from rethinking.pooling.operators.interface import Coarse, Graphs, Operator
from rethinking.pooling.operators.sentences import checked
from tests.pooling.operators.conftest import SIZES, assert_same, batch, matrix, needs_tgp, shuffled, together
from tests.pooling.operators.conftest import operator as known

GOOD = '''
from types import SimpleNamespace
import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import TopKPooling
from torch_geometric.nn.pool.connect import FilterEdges
from torch_geometric.nn.pool.select import SelectTopK
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

BAD = """
import torch
from torch import nn


class Base(nn.Module):
    def forward(self, x, edge_index, batch):
        return self.pool(x, edge_index, batch)


class OtherArgument(nn.Module):
    def __init__(self, in_channels, depth):
        super().__init__()


class Raises(nn.Module):
    def __init__(self, ratio):
        super().__init__()
        raise RuntimeError("not today")


class OtherCall(nn.Module):
    def forward(self, h, adjacency):
        return h


class NoBatch(nn.Module):
    def forward(self, x, edge_index):
        return x, edge_index


class OneTensor(Base):
    def pool(self, x, edge_index, batch):
        return x


class WithoutBatch(Base):
    def pool(self, x, edge_index, batch):
        return x, edge_index


class Flat(Base):
    def pool(self, x, edge_index, batch):
        return x[:, 0], edge_index, batch


class ShortBatch(Base):
    def pool(self, x, edge_index, batch):
        return x, edge_index, batch[1:]


class Narrow(Base):
    def pool(self, x, edge_index, batch):
        return x[:, :2], edge_index, batch


class FloatEdges(Base):
    def pool(self, x, edge_index, batch):
        return x, edge_index.float(), batch


class WideWeights(Base):
    def pool(self, x, edge_index, batch):
        return x, edge_index, torch.ones(edge_index.shape[1], 3), batch


class Descending(Base):
    def pool(self, x, edge_index, batch):
        return x.flip(0), len(x) - 1 - edge_index, batch.flip(0)


class OtherGraphs(Base):
    def pool(self, x, edge_index, batch):
        return x, edge_index, batch + 1


class AcrossGraphs(Base):
    def pool(self, x, edge_index, batch):
        return x, torch.tensor([[0], [len(x) - 1]]), batch


class NoSuchCluster(Base):
    def pool(self, x, edge_index, batch):
        return x[:-1], edge_index, batch[:-1]


class NotANumber(Base):
    def pool(self, x, edge_index, batch):
        return x / 0, edge_index, batch


class BadLoss(Base):
    def pool(self, x, edge_index, batch):
        return x, edge_index, batch, {"cut": x.sum() / 0}


class Drops(Base):
    def pool(self, x, edge_index, batch):
        return x[batch > 0], edge_index[:, :0], batch[batch > 0]


class WrongNodes(Base):
    def pool(self, x, edge_index, batch):
        return x, edge_index, batch, torch.arange(len(x)) + 1


class OtherGraphsNodes(Base):
    def pool(self, x, edge_index, batch):
        return x, edge_index, batch, torch.arange(len(x)).flip(0)


class NeedsEdges(Base):
    def pool(self, x, edge_index, batch):
        degree = torch.bincount(edge_index[0], minlength=len(x))
        if (degree == 0).any():
            raise IndexError("max(): Expected reduction dim to be specified\\nand more")
        return x, edge_index, batch


def function(x):
    return x
"""


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "good_poolers.py").write_text(GOOD)
    (tmp_path / "bad_poolers.py").write_text(BAD)
    (tmp_path / "broken_poolers.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)


def pooled(path: str, graphs: Graphs, **arguments: object) -> tuple[Operator, Coarse]:
    torch.manual_seed(3)
    pool = operator(**SIZES, path=path, arguments=arguments)
    return pool, checked(pool(graphs), graphs, path)


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


@pytest.mark.parametrize("name", ["Weighs", "Contracts"])
def test_clusters_can_be_given_where_all_that_follows_from_them_is_seen(name: str, graphs: Graphs) -> None:
    pool, found = pooled(f"good_poolers.{name}", graphs)
    assert pool.says_assignment and found.assignment is not None
    assert_same(found, pool(graphs, given=found.assignment))
    other = shuffled(found.assignment, graphs)
    torch.testing.assert_close(pool(graphs, given=other).graphs.x, other.dense().t() @ graphs.x)
    if name == "Weighs":
        pool(graphs, given=other).graphs.x.sum().backward()
        assert pool.pooler.score.weight.grad.abs().sum() > 0  # type: ignore[union-attr]


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


def test_our_own_interface_and_arguments(graphs: Graphs) -> None:
    pool, found = pooled("good_poolers.Ours", graphs, extra=5)
    assert pool.seen == (4, 12, 5)
    assert torch.equal(matrix(found.graphs), matrix(graphs))


SENTENCES = {
    "MinCut": r"'MinCut' is no import path: package.module.Class",
    "no_such.Pool": r"no_such.Pool cannot be imported: ModuleNotFoundError: No module named 'no_such'",
    "broken_poolers.Pool": r"broken_poolers.Pool cannot be imported: .*no_such_package",
    "bad_poolers.Missing": r"bad_poolers.Missing cannot be imported: AttributeError",
    "bad_poolers.function": r"is a function, where a class of torch.nn.Module was expected",
    "bad_poolers.OtherArgument": r"cannot be made without 'depth': its constructor is given in_features, .*ratio",
    "bad_poolers.Raises": r"cannot be made: RuntimeError: not today",
    "bad_poolers.OtherCall": r"called as forward\(h, adjacency\), where x, edge_index and batch",
    "bad_poolers.NoBatch": r"called as forward\(x, edge_index\), where x, edge_index and batch",
    "bad_poolers.OneTensor": r"returns one tensor \[36, 4\], without x and edge_index",
    "bad_poolers.WithoutBatch": r"returns a tuple of 2, without batch",
    "bad_poolers.Flat": r"returns torch.float32 \[36\] where the clusters' features as floats \[K, F\]",
    "bad_poolers.ShortBatch": r"returns torch.int64 \[35\] where the graph of each of its 36 clusters",
    "bad_poolers.Narrow": r"returns features of width 2, where 4 were expected",
    "bad_poolers.FloatEdges": r"returns torch.float32 \[2, \d+\] where edges as int64 \[2, E\]",
    "bad_poolers.WideWeights": r"returns torch.float32 \[\d+, 3\] where the weight of each of its \d+ edges",
    "bad_poolers.Descending": r"not in the order of their graphs: batch must ascend",
    "bad_poolers.OtherGraphs": r"clusters of graphs 1 to 4, of 4 it was given",
    "bad_poolers.AcrossGraphs": r"edges between clusters of different graphs",
    "bad_poolers.NoSuchCluster": r"edges of clusters 0 to 35, but 35 clusters",
    "bad_poolers.NotANumber": r"features that are not finite, on 4 graph\(s\) of 7 to 12 nodes",
    "bad_poolers.BadLoss": r"values of its loss 'cut' that are not finite",
    "bad_poolers.Drops": r"leaves nothing of 1 of 4 graph\(s\) of 7 to 12 nodes: each must keep a cluster",
    "bad_poolers.WrongNodes": r"assigns nodes that were not given",
    "bad_poolers.OtherGraphsNodes": r"assigns nodes of one graph to clusters of another",
}


@pytest.mark.parametrize("path", SENTENCES)
def test_bad_poolers_get_a_sentence(path: str, graphs: Graphs) -> None:
    with pytest.raises(ValueError) as raised:
        pooled(path, graphs)
    text = str(raised.value)
    assert re.search(SENTENCES[path], text), text
    assert "\n" not in text


def test_unknown_argument(graphs: Graphs) -> None:
    with pytest.raises(ValueError, match="has no argument 'size'; it has: in_channels, k"):
        pooled("good_poolers.Halves", graphs, size=3)


def test_what_it_raises_on_some_graphs_says_on_which() -> None:
    graphs = together([batch([5]), batch([1])])
    with pytest.raises(ValueError) as raised:
        pooled("bad_poolers.NeedsEdges", graphs)
    assert str(raised.value) == (
        "bad_poolers.NeedsEdges fails on 2 graph(s) of 1 to 5 nodes, 1 without edges: "
        "IndexError: max(): Expected reduction dim to be specified"
    )


def test_want_of_memory_stays_what_it_is(graphs: Graphs, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, _ = pooled("good_poolers.Halves", graphs)

    def allocate(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pool.pooler, "keep", allocate)
    with pytest.raises(MemoryError):
        pool(graphs)
