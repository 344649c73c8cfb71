"""Whether other clusters can be given to a pooler of anybody's, what it may do to its input, and its losses."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rethinking.pooling.operators.interface import Coarse, Graphs
from tests.pooling.operators.conftest import assert_same, pooled, shuffled

OWN = '''
from collections import namedtuple
import torch
from torch import nn
from torch_geometric.nn import TopKPooling
from torch_geometric.nn.pool.select.topk import topk
from torch_geometric.utils import scatter
from rethinking.pooling.operators.interface import Assignment, Coarse, Operator


class Keeps(nn.Module):
    """Keeps every second node, as it is or by what a subclass makes of it."""

    def __init__(self, in_channels, ratio=0.5):
        super().__init__()
        self.more = self.layer(in_channels)

    def layer(self, width):
        return nn.Identity()

    def forward(self, x, edge_index, edge_attr=None, batch=None):
        first = torch.searchsorted(batch, batch)
        perm = ((torch.arange(len(x)) - first) % 2 == 0).nonzero()[:, 0]
        number = torch.full((len(x),), -1)
        number[perm] = torch.arange(len(perm))
        edges = number[edge_index]
        return self.more(x[perm]), edges[:, (edges >= 0).all(0)], batch[perm], perm


class Normalises(Keeps):
    def layer(self, width):
        return nn.BatchNorm1d(width)


class Drops(Keeps):
    def layer(self, width):
        return nn.Dropout(0.5)


class Gated(Keeps):
    def layer(self, width):
        class Gate(nn.Module):
            def __init__(self):
                super().__init__()
                self.gate, self.lin = nn.Parameter(torch.zeros(())), nn.Linear(width, width)

            def forward(self, x):
                return x + self.gate * self.lin(x)

        return Gate()


class SelectsOtherwise(TopKPooling):
    """A subclass that has a `select` and does not pool by it."""

    def __init__(self, in_channels, ratio=0.5):
        super().__init__(in_channels, ratio)
        self.lin = nn.Linear(in_channels, 1)

    def forward(self, x, edge_index, edge_attr=None, batch=None, attn=None):
        score = self.lin(x)[:, 0].tanh()
        perm = topk(score, self.ratio, batch)
        number = torch.full((len(x),), -1)
        number[perm] = torch.arange(len(perm))
        edges = number[edge_index]
        return x[perm] * score[perm, None], edges[:, (edges >= 0).all(0)], None, batch[perm], perm, score[perm]


class LeavesByMaximum(nn.Module):
    """Leaves go to the node that they hang on, with the maximum of features; where there are none, all nodes stay."""

    def forward(self, x, edge_index, batch):
        (source, target), degree = edge_index, torch.bincount(edge_index[0], minlength=len(x))
        parent, leaf = torch.arange(len(x)), (degree[source] == 1) & (degree[target] > 1)
        parent[source[leaf]] = target[leaf]
        kept, cluster = torch.unique(parent, return_inverse=True)
        pooled = scatter(x, cluster, dim=0, reduce="max")
        edges = cluster[edge_index]
        edges = torch.unique(edges[:, edges[0] != edges[1]], dim=1)
        return {"x": pooled, "edge_index": edges, "batch": batch[kept], "cluster": cluster}


class ChangesItsInput(Keeps):
    def forward(self, x, edge_index, edge_attr=None, batch=None):
        x *= 2
        pooled = super().forward(x, edge_index, edge_attr, batch)
        edge_index.zero_()
        batch.zero_()
        return pooled


class Losses(Keeps):
    """Losses in a form that the constructor is given."""

    def __init__(self, in_channels, form):
        super().__init__(in_channels)
        self.form = form

    def forward(self, x, edge_index, batch):
        loss = x.square().mean()
        x, edge_index, batch, perm = super().forward(x, edge_index, batch=batch)
        score, named = torch.ones(len(x)), dict(x=x, edge_index=edge_index, batch=batch, perm=perm)
        if self.form == "object":
            return namedtuple("Pooled", [*named, "aux_loss"])(**named, aux_loss=loss)
        if self.form == "names":
            return {**named, "link_loss": loss, "losses": [loss, loss.reshape(1)]}
        more = {"place": [loss.reshape(1)], "list": [[loss, loss]], "both": [loss, {"loss": 2 * loss}]}
        return x, edge_index, batch, perm, score, *more[self.form]


class PaysNoHeed(Operator):
    def __init__(self, in_features, **sizes):
        super().__init__()

    def forward(self, graphs, given=None):
        node = torch.arange(len(graphs.x))
        return Coarse(graphs, Assignment(node, node, torch.ones(len(node)), graphs.batch, len(node)))
'''


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "poolers_explained.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("name", ["Normalises", "Drops", "Gated", "LeavesByMaximum", "PaysNoHeed"])
def test_what_clusters_do_not_explain_is_a_black_box(name: str, graphs: Graphs) -> None:
    """Layers that only training or other weights show, what some graphs do not show, and clusters that do nothing."""
    pool, _ = pooled(f"poolers_explained.{name}", graphs)
    assert not pool.says_assignment


def test_a_select_that_is_not_pooled_by_is_none(graphs: Graphs) -> None:
    """It is explained by which nodes it returns, and so has twins that are others than itself."""
    pool, found = pooled("poolers_explained.SelectsOtherwise", graphs)
    assert pool.says_assignment and found.assignment is not None
    assert_same(found, pool(graphs, given=found.assignment))
    other = shuffled(found.assignment, graphs)
    torch.testing.assert_close(pool(graphs, given=other).graphs.x, other.dense().t() @ graphs.x)


def test_what_it_does_to_its_input_is_its_own_affair(graphs: Graphs) -> None:
    before = replace(graphs, x=graphs.x.clone(), edge_index=graphs.edge_index.clone(), batch=graphs.batch.clone())
    pool, found = pooled("poolers_explained.ChangesItsInput", graphs)
    assert_same(Coarse(before, None), Coarse(graphs, None))
    assert found.assignment is not None and torch.equal(found.graphs.x, 2 * graphs.x[found.assignment.node])
    assert pool.says_assignment


@pytest.mark.parametrize(
    ("form", "names"),
    [("object", {"aux_loss": 1}), ("names", {"link_loss": 1, "losses_0": 1, "losses_1": 1}), ("place", {"loss": 1}),
     ("list", {"loss_0": 1, "loss_1": 1}), ("both", {"loss": 1, "loss_1_loss": 2})],
)  # fmt: skip
def test_losses_in_any_form(form: str, names: dict[str, int], graphs: Graphs) -> None:
    _, found = pooled("poolers_explained.Losses", graphs, form=form)
    assert found.losses.keys() == names.keys()
    for name, times in names.items():
        torch.testing.assert_close(found.losses[name], times * graphs.x.square().mean())
