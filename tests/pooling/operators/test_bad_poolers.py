"""What is wrong with a pooler of anybody's is said in one sentence."""

import re
from pathlib import Path

import pytest

from rethinking.pooling.operators.interface import Graphs
from tests.pooling.operators.conftest import batch, pooled, together

BAD = """
import sys
import torch
from torch import nn


class Base(nn.Module):
    def forward(self, x, edge_index, batch):
        return self.pool(x, edge_index, batch)


class Sound(Base):
    def __init__(self, in_channels, k):
        super().__init__()

    def pool(self, x, edge_index, batch):
        return x, edge_index, batch


class OtherArgument(nn.Module):
    def __init__(self, in_channels, depth):
        super().__init__()


class Raises(nn.Module):
    def __init__(self, ratio):
        super().__init__()
        raise RuntimeError("not today")


class Exits(nn.Module):
    def __init__(self):
        super().__init__()
        sys.exit(0)


class Lazy(Base):
    def __init__(self):
        super().__init__()
        self.score = nn.LazyLinear(1)


class ExitsLater(Base):
    def pool(self, x, edge_index, batch):
        sys.exit("enough")


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


class LossOfEach(Base):
    def pool(self, x, edge_index, batch):
        return {"x": x, "edge_index": edge_index, "batch": batch, "cut_loss": x.sum(1)}


class Double(Base):
    def pool(self, x, edge_index, batch):
        return x.double(), edge_index, batch


class Elsewhere(Base):
    def pool(self, x, edge_index, batch):
        return x.to("meta"), edge_index, batch


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
    (tmp_path / "bad_poolers.py").write_text(BAD)
    (tmp_path / "broken_poolers.py").write_text("import no_such_package\n")
    (tmp_path / "script_with_pooler.py").write_text("import argparse\nargparse.ArgumentParser().exit(2)\n")
    monkeypatch.syspath_prepend(tmp_path)


SENTENCES = {
    "MinCut": r"'MinCut' is no import path: package.module.Class",
    "no_such.Pool": r"no_such.Pool cannot be imported: ModuleNotFoundError: No module named 'no_such'",
    "broken_poolers.Pool": r"broken_poolers.Pool cannot be imported: .*no_such_package",
    "script_with_pooler.Pool": r"script_with_pooler.Pool cannot be imported: RuntimeError: it ends the program, as a ",
    "bad_poolers.Missing": r"bad_poolers.Missing cannot be imported: AttributeError",
    "bad_poolers.function": r"is a function, where a class derived from torch.nn.Module was expected",
    "bad_poolers.OtherArgument": r"cannot be made without 'depth', which .*\{depth: VALUE\}' .*in_features, .*ratio",
    "bad_poolers.Raises": r"cannot be made: RuntimeError: not today",
    "bad_poolers.Exits": r"cannot be made: RuntimeError: it ends the program",
    "bad_poolers.Lazy": r"has a lazy layer, whose score.weight is not there before a first call",
    "bad_poolers.ExitsLater": r"fails on 4 graph\(s\) of 7 to 12 nodes: RuntimeError: it ends the program",
    "bad_poolers.OtherCall": r"called as forward\(h, adjacency\), where x, edge_index and batch",
    "bad_poolers.NoBatch": r"called as forward\(x, edge_index\), where x, edge_index and batch",
    "bad_poolers.OneTensor": r"returns one tensor float32 \[36, 4\], without x and edge_index",
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
    "bad_poolers.LossOfEach": r"returns one tensor float32 \[36\] as its loss 'cut_loss', where one number",
    "bad_poolers.Double": r"returns torch.float64 \[36, 4\] where features as torch.float32, as those of the nodes,",
    "bad_poolers.Elsewhere": r"returns features on meta, where the nodes' are on cpu",
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
        pooled("bad_poolers.Sound", graphs, size=3)


def test_what_it_raises_on_some_graphs_says_on_which() -> None:
    graphs = together([batch([5]), batch([1])])
    with pytest.raises(ValueError) as raised:
        pooled("bad_poolers.NeedsEdges", graphs)
    expected = (
        "bad_poolers.NeedsEdges fails on 2 graph(s) of 1 to 5 nodes, 1 without edges: "
        "IndexError: max(): Expected reduction dim to be specified"
    )
    assert re.fullmatch(re.escape(expected) + r".* \(bad_poolers.py, line \d+\)", str(raised.value))


def test_want_of_memory_stays_what_it_is(graphs: Graphs, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, _ = pooled("bad_poolers.Sound", graphs)

    def allocate(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pool.pooler, "pool", allocate)
    with pytest.raises(MemoryError):
        pool(graphs)
