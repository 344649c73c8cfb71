"""The operators of conf/pooler return what the libraries return, and their assignments explain it."""

import importlib.util
import sys
from typing import Any

import pytest
import torch
import torch_geometric.nn
from torch import Tensor
from torch_geometric.nn import dense_diff_pool, dense_mincut_pool
from torch_geometric.utils import to_dense_adj, to_dense_batch

from rethinking.pooling.operators.contraction import merge_edges
from rethinking.pooling.operators.dense import are_nodes, pad
from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, separated
from rethinking.pooling.operators.sentences import checked
from rethinking.pooling.operators.tgp import TgpOperator, numpy_follows_torch, poolers
from tests.pooling.operators.conftest import NAMES, SIZES, batch, matrix, needs_tgp, operator, together

TGP = [name for name in NAMES if name.startswith("tgp/")]
# Features that are not S^T X: attention or a layer comes before or after, or it is not the nodes that are summed.
OTHERWISE = {"tgp/asap", "tgp/eigen", "pyg/ClusterPooling", "pyg/MemPooling", "pyg/DMoNPooling"}


def equals(found: Coarse, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None, batch: Tensor) -> None:
    """In any order of the clusters that keeps those of a graph in order."""
    order = batch.argsort(stable=True)
    rank = order.argsort()
    wanted = Graphs(x[order], rank[edge_index], edge_weight, batch[order], found.graphs.count)
    assert torch.equal(found.graphs.batch, wanted.batch)
    torch.testing.assert_close(found.graphs.x, wanted.x)
    assert (found.graphs.edge_weight is None) == (edge_weight is None)
    torch.testing.assert_close(matrix(found.graphs), matrix(wanted))


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", TGP)
def test_equals_tgp(name: str, weighted: bool) -> None:
    graphs = batch([9, 7, 12, 8], weighted=weighted)
    pool: Any = operator(name)
    alias = name.removeprefix("tgp/")
    theirs = poolers().get_pooler(
        alias, in_channels=SIZES["in_features"], k=SIZES["clusters"], ratio=SIZES["ratio"], sparse_output=True
    )
    theirs.load_state_dict(pool.pooler.state_dict())
    torch.manual_seed(7)
    found = pool(graphs)
    torch.manual_seed(7)
    with numpy_follows_torch():
        wanted = theirs(x=graphs.x, adj=graphs.edge_index, edge_weight=graphs.edge_weight, batch=graphs.batch)
    equals(found, wanted.x, wanted.edge_index, wanted.edge_weight, wanted.batch)
    assert set(found.losses) == set(wanted.loss or {})
    for loss, value in found.losses.items():
        torch.testing.assert_close(value, wanted.loss[loss])


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", ["TopKPooling", "SAGPooling", "ASAPooling", "EdgePooling", "ClusterPooling"])
def test_equals_pyg(name: str, weighted: bool) -> None:
    graphs = batch([9, 7, 12, 8], weighted=weighted)
    pool: Any = operator(f"pyg/{name}")
    theirs = getattr(torch_geometric.nn, name)(SIZES["in_features"])
    theirs.load_state_dict(pool.pooler.state_dict())
    if name in ("EdgePooling", "ClusterPooling"):
        x, edge_index, coarse, _ = theirs(graphs.x, graphs.edge_index, graphs.batch)
        weight = None
    else:
        x, edge_index, weight, coarse, *_ = theirs(graphs.x, graphs.edge_index, graphs.edge_weight, graphs.batch)
    equals(pool(graphs), x, edge_index, weight, coarse)


@pytest.mark.parametrize("scores", ["distinct", "few", "equal"])
def test_edges_merge_as_in_pyg(scores: str) -> None:
    """Loops, edges twice, nodes without edges; of equal scores those go first that torch's sort puts first."""
    torch.manual_seed(3)
    nodes, edges = 60, 150
    graph = torch.randint(nodes - 5, (2, edges)), torch.arange(nodes) // 20
    drawn = {"distinct": torch.rand(edges), "few": torch.randint(3, (edges,)).float(), "equal": torch.ones(edges)}
    score, x = (each.double().requires_grad_() for each in (drawn[scores], torch.randn(nodes, 4)))
    found = merge_edges(x, *graph, score)
    wanted = torch_geometric.nn.EdgePooling(4)._merge_edges(x, *graph, score)
    for mine, theirs in zip((*found[:3], *found[3]), (*wanted[:3], *wanted[3]), strict=True):
        assert torch.equal(mine, theirs)
    upstream = torch.randn_like(found[0])
    mine, theirs = (torch.autograd.grad(pooled, (x, score), upstream) for pooled in (found[0], wanted[0]))
    assert all(map(torch.equal, mine, theirs))


@pytest.mark.usefixtures("double")
def test_components_merge_as_in_pyg() -> None:
    """Loops, edges twice and one way only, nodes without edges; gradients too."""
    torch.manual_seed(3)
    nodes, edges = 60, 80
    first = torch.arange(3).repeat_interleave(20)
    edge_index = torch.stack([torch.randint(18, (edges,)), torch.randint(18, (edges,))]) + 20 * torch.randint(
        3, (edges,)
    )
    x = torch.randn(nodes, SIZES["in_features"]).requires_grad_()
    pool: Any = operator("pyg/ClusterPooling")
    found = pool(Graphs(x, edge_index, None, first, 3))
    pooled, joined, batch, merged = pool.pooler(x, edge_index, first)
    assert 3 < len(pooled) < nodes - 6, "some are merged, and not all"
    equals(found, pooled, joined, None, batch)
    order = batch.argsort(stable=True)
    assert torch.equal(found.assignment.cluster[found.assignment.node.argsort()], order.argsort()[merged.cluster])
    along, inputs = torch.randn_like(pooled), (x, *pool.parameters())
    wanted = torch.autograd.grad(pooled, inputs, along)
    for mine, theirs in zip(torch.autograd.grad(found.graphs.x, inputs, along[order]), wanted, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("sizes", [[9, 7, 12, 8], [1], [2, 1, 1]])
def test_which_rows_are_nodes_where_graphs_are_padded(sizes: list[int]) -> None:
    graphs = batch(sizes)
    assert torch.equal(are_nodes(graphs), to_dense_batch(graphs.x, graphs.batch)[1])
    assert torch.equal(are_nodes(graphs), pad(graphs)[2])


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", ["DiffPool", "MinCutPool", "DMoNPooling", "MemPooling"])
def test_equals_pyg_where_graphs_are_padded(name: str, weighted: bool) -> None:
    graphs = batch([9, 7, 12, 8], weighted=weighted)
    pool: Any = operator(f"pyg/{name}")
    x, mask = to_dense_batch(graphs.x, graphs.batch)
    adjacency = to_dense_adj(graphs.edge_index, graphs.batch, graphs.edge_weight)
    losses: tuple[Tensor, ...]
    if name == "DiffPool":
        pooled, edges, *losses = dense_diff_pool(x, adjacency, pool.assign(x, adjacency, mask), mask)
    elif name == "MinCutPool":
        pooled, edges, *losses = dense_mincut_pool(x, adjacency, pool.assign(x), mask)
    elif name == "DMoNPooling":
        _, pooled, edges, *losses = pool.pooler(x, adjacency, mask)
    else:
        pooled, s = pool.pooler(graphs.x, graphs.batch)
        edges, losses = torch.zeros(4, SIZES["clusters"], SIZES["clusters"]), (pool.pooler.kl_loss(s),)
    found = pool(graphs)
    torch.testing.assert_close(found.graphs.x, pooled.flatten(0, 1))
    torch.testing.assert_close(matrix(found.graphs), torch.block_diag(*edges))
    torch.testing.assert_close(tuple(found.losses.values()), tuple(losses))


@pytest.mark.parametrize("name", ["MinCutPool", "DMoNPooling"])
def test_graphs_without_edges_are_pooled_and_have_no_part_in_the_losses(name: str) -> None:
    """The library's losses divide by their edges."""
    whole = batch([9, 7, 12, 8])
    source = whole.batch[whole.edge_index[0]]
    pool: Any = operator(f"pyg/{name}")
    found = {}
    for edgeless in ([], [1, 3], [0, 1, 2, 3]):
        kept = ~torch.isin(source, torch.tensor(edgeless, dtype=torch.long))
        x = whole.x.clone().requires_grad_()
        graphs = Graphs(x, whole.edge_index[:, kept], None, whole.batch, 4)
        pooled = checked(pool(graphs), graphs, name)
        (gradient,) = torch.autograd.grad(pooled.graphs.x.sum() + sum(pooled.losses.values()), x)
        assert torch.isfinite(gradient).all()
        found[len(edgeless)] = pooled
    # Features and S of a graph do not hang on its edges, nor on the other graphs.
    for other in (found[2], found[4]):
        torch.testing.assert_close(other.graphs.x, found[0].graphs.x)
        torch.testing.assert_close(other.assignment.dense(), found[0].assignment.dense())
    torch.testing.assert_close(matrix(found[2].graphs)[:3, :3], matrix(found[0].graphs)[:3, :3])
    assert not found[4].graphs.edge_index.numel() and not any(map(bool, found[4].losses.values()))
    parts = separated(whole)
    alone = together([parts[0], parts[2]])
    for loss, value in pool(alone).losses.items():
        torch.testing.assert_close(found[2].losses[loss], value)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OTHERWISE])
def test_features_are_those_of_the_assignment(name: str, graphs: Graphs) -> None:
    found = operator(name)(graphs)
    assert found.assignment is not None
    torch.testing.assert_close(found.graphs.x, found.assignment.dense().t() @ graphs.x, atol=1e-5, rtol=1e-4)


def induced(found: Coarse, graphs: Graphs) -> Tensor:
    """The adjacency matrix of the nodes that are kept, in the order of the clusters they are, [K, K]."""
    assert found.assignment is not None
    node = found.assignment.node[found.assignment.cluster.argsort()]
    return matrix(graphs)[node][:, node]


@pytest.mark.parametrize("name", ["pyg/TopKPooling", "pyg/SAGPooling", "tgp/topk", "tgp/sag", "tgp/asap"])
def test_edges_between_kept_nodes(name: str, graphs: Graphs) -> None:
    """They stay with their nodes, but not in torch-geometric-pool 1.0.2, as its files in conf/pooler say."""
    found = operator(name)(graphs)
    assert torch.equal(matrix(found.graphs), induced(found, graphs)) == name.startswith("pyg/")


@pytest.mark.parametrize("name", NAMES)
def test_graphs_of_one_node_and_without_edges(name: str) -> None:
    small = together([batch([5]), batch([1]), batch([4], density=0.0), batch([2]), batch([6], seed=2)])
    checked(operator(name)(small), small, name)


@pytest.mark.parametrize(("alias", "package"), [("graclus", "torch_cluster"), ("pan", "torch_sparse")])
def test_what_needs_other_packages_says_which(alias: str, package: str, graphs: Graphs) -> None:
    needs_tgp()
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(ValueError, match=package):
        TgpOperator(**SIZES, alias=alias)(graphs)


def test_unknown_pooler_and_argument() -> None:
    needs_tgp()
    with pytest.raises(ValueError, match=r"has no pooler 'mincutt'; it has: .*mincut"):
        TgpOperator(**SIZES, alias="mincutt")
    with pytest.raises(ValueError, match=r"has no argument 'cut_los'; it has: in_channels, .*cut_loss_coeff"):
        TgpOperator(**SIZES, alias="mincut", arguments={"cut_los": 2})
    with pytest.raises(ValueError, match="tgp's mincut cannot be made: "):
        TgpOperator(**SIZES, alias="mincut", arguments={"act": "nosuch"})


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tgp.poolers", None)
    with pytest.raises(ValueError, match="pip install --no-deps torch-geometric-pool"):
        TgpOperator(**SIZES, alias="mincut")


def test_soft_clusters_are_refused_by_what_joins_hard_ones(graphs: Graphs) -> None:
    soft = operator("pyg/DiffPool")(graphs).assignment
    assert isinstance(soft, Assignment)
    for name in ("tgp/topk", "tgp/kmis", "pyg/TopKPooling"):
        with pytest.raises(ValueError, match="of one node each"):
            operator(name)(graphs, given=soft)
