"""What every operator of conf/pooler is held to."""

import re
from dataclasses import replace
from functools import partial

import pytest
import torch

from rethinking.pooling.known import is_known_by_edges, know, pooled
from rethinking.pooling.operators.interface import Assignment, Graphs
from rethinking.pooling.operators.sentences import checked
from tests.pooling.operators.conftest import (
    FEATURES,
    NAMES,
    assert_same,
    assigned_together,
    batch,
    config,
    matrix,
    one_of,
    operator,
    shuffled,
    together,
)

# Clusters are drawn, or found from a random start, at each call.
DRAWN = {"tgp/bnpool", "tgp/eigen", "tgp/ndp", "tgp/nmf"}
# What looks at no features.
BY_EDGES = ("tgp/eigen", "tgp/ndp", "tgp/nmf", "tgp/sep")
# What has no influence in the library: the sign of a score is all that a weight of width one decides, a softmax is the
# same whatever all its arguments have in common (a bias; ASAP's query, by its linear layer), and ASAPooling's choice of
# nodes takes no score along.
FIXED = {
    "pyg/SAGPooling": {"select.weight"},
    "pyg/ASAPooling": {"select.weight", "att.bias"},
    "pyg/EdgePooling": {"lin.bias"},
    "tgp/asap": {"lin.weight", "lin.bias", "att.bias"},
    "tgp/ec": {"selector.lin.bias"},
}
TRAINED = [name for name in NAMES if name.removeprefix("tgp/") not in ("eigen", "lap", "ndp", "nmf", "nopool", "sep")]


@pytest.mark.parametrize("name", NAMES)
def test_file_says_what_the_harness_asks(name: str) -> None:
    file = config(name)
    assert {"name", "title", "is_local", "operator"} <= set(file) <= {"name", "title", "is_local", "operator", "note"}
    assert not str(file.get("note", "")).endswith("."), "a full stop is put behind it"
    assert re.fullmatch(r"[A-Za-z0-9_-]+", file["name"])
    assert file["is_local"] in (True, False, None)


def test_names_differ() -> None:
    for key in ("name", "title"):
        said = [config(name)[key] for name in NAMES]
        assert len(set(said)) == len(said)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", NAMES)
def test_its_own_clusters_given_to_it_change_nothing(name: str, weighted: bool) -> None:
    graphs = batch([9, 7, 12, 8], weighted=weighted)
    pool = operator(name)
    own = checked(pool(graphs), graphs, name)
    assert own.graphs.x.shape[1] == (pool.out_features or graphs.x.shape[1])
    assert own.assignment is not None
    if not pool.says_assignment:
        with pytest.raises(ValueError, match="cannot pool by given clusters"):
            pool(graphs, given=own.assignment)
        return
    given = checked(pool(graphs, given=own.assignment), graphs, name)
    assert_same(own, given)
    assert not given.losses


@pytest.mark.parametrize("name", NAMES)
def test_clusters_of_other_nodes_are_reduced_from_these(name: str, graphs: Graphs) -> None:
    pool = operator(name)
    own = pool(graphs)
    if not pool.says_assignment:
        return
    assert own.assignment is not None
    other = shuffled(own.assignment, graphs)
    result = checked(pool(graphs, given=other), graphs, name)
    torch.testing.assert_close(result.assignment.dense(), other.dense())
    assert torch.equal(result.graphs.batch, own.graphs.batch)
    assert not torch.allclose(result.graphs.x, own.graphs.x, atol=1e-3)


# Their own edges are not those of their own nodes, as their files in conf/pooler say.
MIXED_UP = ("tgp/topk", "tgp/sag", "tgp/asap")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in MIXED_UP])
def test_the_numbers_of_given_clusters_do_not_matter(name: str, graphs: Graphs) -> None:
    """As those of twins are in no order."""
    pool = operator(name)
    own = pool(graphs).assignment
    if not pool.says_assignment:
        return
    assert own is not None
    generator = torch.Generator().manual_seed(3)
    order = (own.batch + torch.rand(own.clusters, generator=generator)).argsort()
    first = checked(pool(graphs, given=own), graphs, name)
    again = checked(pool(graphs, given=own.changed(cluster=order.argsort()[own.cluster])), graphs, name)
    torch.testing.assert_close(again.graphs.x, first.graphs.x[order])
    torch.testing.assert_close(matrix(again.graphs), matrix(first.graphs)[order][:, order])
    assert torch.equal(again.graphs.batch, first.graphs.batch)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in DRAWN])
def test_order_of_graphs_does_not_matter(name: str, graphs: Graphs) -> None:
    pool = operator(name)
    order = [2, 0, 3, 1]
    result = pool(graphs)
    turned = pool(together([one_of(graphs, graph) for graph in order]))
    theirs = together([one_of(result.graphs, graph) for graph in order])
    assert torch.equal(turned.graphs.batch, theirs.batch)
    torch.testing.assert_close(turned.graphs.x, theirs.x, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in DRAWN])
def test_other_graphs_of_the_batch_do_not_matter(name: str, graphs: Graphs) -> None:
    pool = operator(name)
    result = pool(graphs)
    for graph in range(graphs.count):
        alone = pool(one_of(graphs, graph)).graphs
        torch.testing.assert_close(alone.x, one_of(result.graphs, graph).x, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_what_sees_no_features_clusters_by_edges_alone(name: str, graphs: Graphs) -> None:
    pool = operator(name)
    assert pool.sees_features == (name not in (*BY_EDGES, "tgp/nopool"))
    if pool.sees_features:
        return
    found = []
    for x in (graphs.x, graphs.x.flip(0)):
        torch.manual_seed(5)
        found.append(pool(replace(graphs, x=x)).assignment)
    torch.testing.assert_close(found[0].dense(), found[1].dense())


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("nopool")])
def test_clusters_found_graph_by_graph(name: str, graphs: Graphs) -> None:
    """What was found of each graph alone, where there may be fewer clusters, can be given for all together."""
    pool = operator(name)
    alone = [pool(one_of(graphs, graph)) for graph in range(graphs.count)]
    given = assigned_together([part.assignment for part in alone])
    found = checked(pool(graphs, given=given), graphs, name)
    assert torch.equal(found.graphs.batch, given.batch)
    torch.testing.assert_close(found.graphs.x, torch.cat([part.graphs.x for part in alone]), atol=1e-4, rtol=1e-4)
    theirs = together([part.graphs for part in alone])
    torch.testing.assert_close(matrix(found.graphs), matrix(theirs), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("density", [0.5, 0])
@pytest.mark.parametrize("name", BY_EDGES)
def test_what_is_known_of_graphs_pools_any_features(name: str, density: float) -> None:
    """As the operator does it with the same clusters, and back; without edges EigenPooling has zeros only."""
    pool, graphs = operator(name), batch([9, 7, 12, 1], density=density)
    assert is_known_by_edges(pool)
    parts = [one_of(graphs, graph) for graph in range(graphs.count)]
    clusters = [pool(part).assignment for part in parts]
    known = [know(partial(pool, given=given), part) for given, part in zip(clusters, parts, strict=True)]
    x = graphs.x.clone().requires_grad_()
    expected = pool(replace(graphs, x=x), given=assigned_together(clusters))
    found = pooled(known, x)
    assert_same(expected, checked(found, graphs, name))
    slope = torch.randn(expected.graphs.x.shape)
    wanted, got = (torch.autograd.grad((made.graphs.x * slope).sum(), x)[0] for made in (expected, found))
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", TRAINED)
def test_all_parameters_learn(name: str, graphs: Graphs) -> None:
    pool = operator(name)
    result = pool(graphs)
    loss = sum(result.losses.values(), (result.graphs.x**2).sum())
    if result.graphs.edge_weight is not None and result.graphs.edge_weight.requires_grad:
        loss = loss + (result.graphs.edge_weight**2).sum()
    loss.backward()
    gradients = {key.removeprefix("pooler."): value.grad for key, value in pool.named_parameters()}
    sizes = {key: 0.0 if gradient is None else float(gradient.abs().sum()) for key, gradient in gradients.items()}
    # What is zero but for rounding is a hundred-millionth of the largest, what learns at least a thousandth.
    without = {key for key, size in sizes.items() if size < 1e-6 * max(sizes.values())}
    assert without <= FIXED.get(name, set()) and len(without) < len(gradients)


@pytest.mark.parametrize("name", TRAINED)
def test_what_chose_the_clusters_learns_where_they_are_given(name: str, graphs: Graphs) -> None:
    """So that a control by shuffling trains what its original trains."""
    pool = operator(name)
    own = pool(graphs)
    assert own.assignment is not None
    result = pool(graphs, given=shuffled(own.assignment, graphs))
    (result.graphs.x**2).sum().backward()
    assert any(value.grad is not None and value.grad.abs().sum() > 0 for value in pool.parameters())


def hard(graphs: Graphs, clusters: int) -> Assignment:
    """Each node in one of so many clusters of its graph, in turn."""
    first = (graphs.sizes.cumsum(0) - graphs.sizes)[graphs.batch]
    place = (torch.arange(len(graphs.x)) - first) % clusters
    return Assignment(
        node=torch.arange(len(graphs.x)),
        cluster=graphs.batch * clusters + place,
        weight=torch.ones(len(graphs.x)),
        batch=torch.arange(graphs.count).repeat_interleave(clusters),
        nodes=len(graphs.x),
    )


@pytest.mark.parametrize("clusters", [4, 10])
@pytest.mark.parametrize("name", NAMES)
def test_hard_clusters_of_any_origin(name: str, clusters: int, graphs: Graphs) -> None:
    """They are pooled, or refused in one sentence by what keeps single nodes. Of 10 clusters some have no nodes."""
    pool = operator(name)
    given = hard(graphs, clusters)
    try:
        result = checked(pool(graphs, given=given), graphs, name)
    except ValueError as error:
        assert re.search("of one node each|number of clusters|cannot pool by given clusters", str(error))
        return
    members = torch.bincount(given.cluster, minlength=given.clusters) > 0
    if len(result.graphs.batch) == given.clusters:
        assert torch.equal(result.graphs.batch, given.batch)
    else:
        assert torch.equal(result.graphs.batch, given.batch[members])


@pytest.mark.parametrize("name", [name for name in NAMES if name != "pyg/MemPooling"])  # Its clusters have no edges.
def test_edges_between_clusters_lead_where_those_of_their_nodes_do(name: str) -> None:
    """Of two clusters that are joined within, all edges between lead from the first to the second."""
    between = torch.cartesian_prod(torch.arange(4), torch.arange(4, 8)).T
    edges = torch.cat([batch([4, 4]).edge_index, between], dim=1)
    graph = Graphs(torch.randn(8, FEATURES), edges, None, torch.zeros(8, dtype=torch.long), 1)
    node = torch.arange(8)
    given = Assignment(node, node // 4, torch.ones(8), torch.zeros(2, dtype=torch.long), 8)
    try:
        coarse = operator(name).eval()(graph, given=given).graphs
    except ValueError as error:
        assert re.search("of one node each|number of clusters|cannot pool by given clusters", str(error))
        return
    forth, back = ((torch.tensor(ends) == coarse.edge_index.T).all(dim=1) for ends in ((0, 1), (1, 0)))
    assert coarse.weights[forth].sum() > 0 and coarse.weights[back].sum() == 0


def test_graphs_known_to_be_undirected_are_taken_as_the_library_gives_them(graphs: Graphs) -> None:
    """To the bit: the two directions of an edge between clusters differ by rounding."""
    pool = operator("tgp/mincut").eval()
    known, unknown = (pool(replace(graphs, directed=directed)).graphs for directed in (False, True))
    assert torch.equal(known.edge_index.flip(0), unknown.edge_index)
    assert torch.equal(known.edge_weight, unknown.edge_weight)
