"""The eight operators are what the released code of Grattarola et al. 2022 computes."""

import math
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.nn import GCNConv
from torch_geometric.nn import dense_diff_pool as pygs_diff_pool
from torch_geometric.nn import dense_mincut_pool as pygs_mincut_pool
from torch_geometric.nn.pool.select import SelectTopK

from rethinking.pooling.known import is_known_by_edges, know, pooled
from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, Operator
from rethinking.pooling.operators.src.fixed import NDP, NMF, Graclus
from rethinking.pooling.operators.src.soft import DiffPool, LaPool, MinCut
from tests.scorecard.published import published_operators

OPERATORS = published_operators()
FEATURES = 4


def one(graph: nx.Graph, features: int = FEATURES, seed: int = 0) -> Graphs:
    nodes = len(graph)
    adjacency = torch.from_numpy(nx.to_numpy_array(graph)).to(torch.get_default_dtype())
    edge_index = adjacency.nonzero().T
    x = torch.randn(nodes, features, generator=torch.Generator().manual_seed(seed))
    return Graphs(x, edge_index, adjacency[tuple(edge_index)], torch.zeros(nodes, dtype=torch.long), 1)


def weighted(nodes: int, seed: int) -> nx.Graph:
    graph = nx.connected_watts_strogatz_graph(nodes, 4, 0.5, seed=seed)
    rng = np.random.default_rng(seed)
    for _, _, edge in graph.edges(data=True):
        edge["weight"] = float(rng.uniform(0.5, 2))
    return graph


def together(*graphs: Graphs) -> Graphs:
    sizes = [len(graph.x) for graph in graphs]
    first = np.cumsum([0, *sizes[:-1]]).tolist()
    return Graphs(
        torch.cat([graph.x for graph in graphs]),
        torch.cat([graph.edge_index + by for graph, by in zip(graphs, first, strict=True)], dim=1),
        torch.cat([graph.weights for graph in graphs]),
        torch.repeat_interleave(torch.arange(len(graphs)), torch.tensor(sizes)),
        len(graphs),
    )


def matrix(graphs: Graphs) -> Tensor:
    nodes = len(graphs.x)
    zeros = torch.zeros(nodes, nodes, dtype=graphs.weights.dtype)
    return zeros.index_put(tuple(graphs.edge_index), graphs.weights, accumulate=True)


def made(name: str, seed: int = 0) -> Operator:
    torch.manual_seed(seed)
    return OPERATORS[name](in_features=FEATURES, clusters=6, ratio=0.5, max_nodes=20)


def assignment(coarse: Coarse) -> Assignment:
    assert coarse.assignment is not None
    return coarse.assignment


@pytest.fixture(autouse=True)
def in_double(double: None) -> None:
    """All in double precision."""


def three_graphs() -> list[Graphs]:
    return [one(weighted(12, 0)), one(weighted(9, 1), seed=1), one(nx.path_graph(2), seed=2)]


@pytest.mark.parametrize("name", OPERATORS)
def test_a_graph_is_pooled_as_if_it_were_alone(name: str) -> None:
    graphs = three_graphs()
    # By an operator of its own each, which has met no other graph.
    alone = [made(name)(graph) for graph in graphs]
    batch = made(name)(together(*graphs))
    sizes = [len(coarse.graphs.x) for coarse in alone]
    assert torch.allclose(batch.graphs.x, torch.cat([coarse.graphs.x for coarse in alone]))
    assert torch.allclose(matrix(batch.graphs), torch.block_diag(*[matrix(coarse.graphs) for coarse in alone]))
    assert batch.graphs.batch.tolist() == assignment(batch).batch.tolist() == np.repeat([0, 1, 2], sizes).tolist()
    dense = torch.block_diag(*[assignment(coarse).dense() for coarse in alone])
    assert torch.allclose(assignment(batch).dense(), dense)
    for loss, value in batch.losses.items():
        assert torch.allclose(value, torch.stack([coarse.losses[loss] for coarse in alone]).mean())


@pytest.mark.parametrize("name", OPERATORS)
def test_its_own_clusters_can_be_given(name: str) -> None:
    operator, graphs = made(name), together(*three_graphs())
    own = operator(graphs)
    if not operator.says_assignment:
        with pytest.raises(ValueError, match="takes no clusters of others"):
            operator(graphs, own.assignment)
        return
    given = operator(graphs, own.assignment)
    assert torch.allclose(given.graphs.x, own.graphs.x) and torch.allclose(matrix(given.graphs), matrix(own.graphs))
    assert not given.losses


@pytest.mark.parametrize("name", OPERATORS)
def test_a_node_alone_and_a_graph_without_edges_are_pooled(name: str) -> None:
    operator = made(name)
    for graph in (nx.empty_graph(1), nx.empty_graph(5), nx.disjoint_union(nx.empty_graph(1), nx.path_graph(4))):
        coarse = operator(one(graph))
        assert torch.isfinite(coarse.graphs.x).all() and torch.isfinite(coarse.graphs.weights).all()
        assert len(coarse.graphs.x) > 0 and all(torch.isfinite(loss) for loss in coarse.losses.values())


@pytest.mark.parametrize("name", OPERATORS)
def test_gradients_reach_every_parameter(name: str) -> None:
    operator, graph = made(name), one(weighted(12, 0))
    coarse = operator(graph)
    target = coarse.graphs.x.square().sum() + coarse.graphs.weights.square().sum()
    parameters = list(operator.parameters())
    grads = torch.autograd.grad(target, parameters) if parameters else ()
    assert all(grad.abs().sum() > 0 for grad in grads)


def test_diffpool_has_pygs_losses_but_for_a_factor() -> None:
    operator, graph = made("diffpool"), one(weighted(12, 0))
    assert isinstance(operator, DiffPool)
    conv = GCNConv(FEATURES, 6, bias=False).double()
    conv.lin.weight.data = operator.assign.detach().T
    logits = conv(graph.x, graph.edge_index, graph.weights)
    embed = GCNConv(FEATURES, FEATURES, bias=False).double()
    embed.lin.weight.data = operator.embed.detach().T
    features = embed(graph.x, graph.edge_index, graph.weights)
    x, adjacency, link, entropy = pygs_diff_pool(features, matrix(graph), logits, normalize=False)
    coarse = operator(graph)
    assert torch.allclose(coarse.graphs.x, x[0]) and torch.allclose(matrix(coarse.graphs), adjacency[0])
    assert coarse.losses["link"].item() == pytest.approx(link.item())
    assert coarse.losses["entropy"].item() == pytest.approx(entropy.item(), rel=1e-5)


def test_mincut_is_pygs() -> None:
    operator, graph = made("mincut"), one(weighted(12, 0))
    assert isinstance(operator, MinCut)
    logits = graph.x @ operator.assign + operator.bias
    x, adjacency, cut, orthogonality = pygs_mincut_pool(graph.x, matrix(graph), logits)
    coarse = operator(graph)
    assert torch.allclose(coarse.graphs.x, x[0]) and torch.allclose(matrix(coarse.graphs), adjacency[0])
    assert coarse.losses["cut"].item() == pytest.approx(cut.item())
    assert coarse.losses["orthogonality"].item() == pytest.approx(orthogonality.item())


@pytest.mark.parametrize("name", ["topk", "sagpool"])
def test_the_best_nodes_are_kept(name: str) -> None:
    operator, graph = made(name), one(weighted(9, 1))
    coarse = operator(graph)
    score = operator.score(graph)
    kept = SelectTopK(1, 0.5)
    kept.weight.data.fill_(1.0)
    expected = kept(score[:, None], graph.batch).node_index.sort().values
    node = assignment(coarse).node
    assert torch.equal(node, expected) and len(node) == math.ceil(9 / 2)
    assert torch.allclose(assignment(coarse).weight, score[node])
    assert torch.allclose(coarse.graphs.x, graph.x[node] * score[node].tanh()[:, None])
    assert torch.allclose(matrix(coarse.graphs), matrix(graph)[node][:, node])


def test_the_scores() -> None:
    graph = one(weighted(9, 1))
    topk, sagpool = made("topk"), made("sagpool")
    p = topk.projection.detach()
    assert torch.allclose(topk.score(graph), (graph.x @ p / p.norm())[:, 0])
    conv = GCNConv(FEATURES, 1, bias=False).double()
    conv.lin.weight.data = sagpool.projection.detach().T
    assert torch.allclose(sagpool.score(graph), conv(graph.x, graph.edge_index, graph.weights)[:, 0])


def test_leaders_differ_from_their_neighbours_most() -> None:
    """On a path with one raised node, that and the ends that see nothing of it lead."""
    graph = one(nx.path_graph(7), features=2)
    x = torch.ones(7, 2)
    x[3] = torch.tensor([1.0, 3.0])
    operator = LaPool(in_features=2, clusters=1, ratio=0.5, max_nodes=7)
    coarse = operator(Graphs(x, graph.edge_index, graph.edge_weight, graph.batch, 1))
    s = assignment(coarse).dense()
    leaders = [0, 3, 6]  # 1 and 5 see nothing but are beside 2 and 4, which do
    assert torch.equal(s[leaders], torch.eye(3))
    cosine = torch.nn.functional.cosine_similarity(x[:, None], x[None, leaders], dim=2)
    others = [1, 2, 4, 5]
    assert torch.allclose(s[others], cosine[others].softmax(dim=1))
    assert torch.allclose(coarse.graphs.x, s.T @ x)
    assert torch.allclose(matrix(coarse.graphs), s.T @ matrix(graph) @ s)


@pytest.mark.parametrize("seed", range(4))
def test_leaders_are_found_by_the_weighted_laplacian(seed: int) -> None:
    network = weighted(12, seed)
    graph = one(network)
    change = np.linalg.norm(nx.laplacian_matrix(network).toarray() @ graph.x.numpy(), axis=1)
    leaders = [node for node in network if change[node] >= max(change[other] for other in network[node])]
    s = assignment(made("lapool")(graph)).dense()
    assert s.shape == (12, len(leaders)) and torch.equal(s[leaders], torch.eye(len(leaders)))


def test_factors_have_no_negative_entries_and_make_the_filter() -> None:
    graph = one(nx.disjoint_union(nx.complete_graph(4), nx.complete_graph(3)))
    torch.manual_seed(0)
    operator = NMF(in_features=FEATURES, clusters=0, ratio=2 / 7, max_nodes=7, iterations=400)
    coarse = operator(graph)
    s = assignment(coarse).dense()
    assert s.shape == (7, 2) and (s >= 0).all()
    # Two cliques: Â has rank two, and each factor is one of them.
    clique = torch.block_diag(torch.full((4, 4), 1 / 4), torch.full((3, 3), 1 / 3))
    assert torch.allclose(coarse.graphs.x, s.T @ graph.x)
    assert torch.allclose(matrix(coarse.graphs), s.T @ clique @ s, atol=1e-6)
    assert sorted((s > 1e-3).sum(dim=0).tolist()) == [3, 4]


def ndp() -> NDP:
    operator = made("ndp")
    assert isinstance(operator, NDP)
    return operator


def test_decimation_keeps_one_side_of_a_cut_across_all_edges() -> None:
    graph = one(nx.path_graph(9))
    node = assignment(ndp()(graph)).node.tolist()
    assert node in ([0, 2, 4, 6, 8], [1, 3, 5, 7])


def test_a_cut_counts_by_its_share_of_the_weight() -> None:
    """Of a path with one edge more, that is within a side; where the cut falls short, the side is a random one."""
    path = nx.path_graph(6)
    path.add_edge(0, 1, weight=3.0)
    path.add_edge(0, 2, weight=0.5)
    share = 7 / 7.5

    def kept(least: float, seed: int) -> list[int]:
        operator = made("ndp", seed)
        assert isinstance(operator, NDP)
        operator.least_cut = least
        return assignment(operator(one(path))).node.tolist()

    sides = ([0, 2, 4], [1, 3, 5])
    assert all(kept(share - 1e-3, seed) in sides for seed in range(8))
    assert not all(kept(share + 1e-3, seed) in sides for seed in range(8))


def test_the_kron_reduction_keeps_resistances() -> None:
    """Between nodes that are kept, as it is what electric networks do (Dörfler and Bullo 2013)."""
    graph = weighted(12, 3)
    operator = ndp()
    operator.dropped = 0.0
    coarse = operator(one(graph))
    node = assignment(coarse).node.numpy()

    def resistance(adjacency: np.ndarray) -> np.ndarray:
        inverse = np.linalg.pinv(np.diag(adjacency.sum(axis=1)) - adjacency)
        return inverse.diagonal()[:, None] + inverse.diagonal() - 2 * inverse

    expected = resistance(nx.to_numpy_array(graph))[np.ix_(node, node)]
    assert np.allclose(resistance(matrix(coarse.graphs).numpy()), expected)
    assert torch.equal(coarse.graphs.x, one(graph).x[assignment(coarse).node])


def test_small_entries_of_the_reduction_are_dropped() -> None:
    graph = one(weighted(12, 3))
    full, sparse = ndp(), ndp()
    full.dropped, sparse.dropped = 0.0, 0.3
    full_matrix, sparse_matrix = matrix(full(graph).graphs), matrix(sparse(graph).graphs)
    assert torch.allclose(sparse_matrix, full_matrix * (full_matrix.abs() > 0.3))


def test_graclus_keeps_the_second_of_each_pair() -> None:
    graph = weighted(11, 4)
    operator = made("graclus")
    assert isinstance(operator, Graclus)
    coarse = operator(one(graph))
    found = assignment(coarse)
    # Eleven nodes, so one at least is alone; its cluster has no node and no features.
    alone = sorted(set(range(found.clusters)) - set(found.cluster.tolist()))
    assert 2 * len(found.node) + len(alone) == 11 and alone
    assert (coarse.graphs.x[alone] == 0).all()
    assert torch.equal(coarse.graphs.x[found.cluster], one(graph).x[found.node])
    # Normalised by degrees with their loops: the square roots of these are an eigenvector of the eigenvalue 1.
    values = torch.linalg.eigvalsh(matrix(coarse.graphs))
    assert float(values[-1]) == pytest.approx(1)


def test_graclus_pairs_neighbours_by_their_score() -> None:
    """On a path of four the inner nodes have two neighbours each, so both score an end higher."""
    for seed in range(8):
        coarse = made("graclus", seed)(one(nx.path_graph(4)))
        assert sorted(assignment(coarse).node.tolist()) == [1, 3]
        inner = matrix(coarse.graphs)
        # A pair has a loop of 2 and an edge of 1 to the other, of a degree of 3.
        assert torch.allclose(inner, torch.tensor([[2 / 3, 1 / 3], [1 / 3, 2 / 3]]))


def test_graclus_pairs_by_weight_where_degrees_are_equal() -> None:
    """On a ring of four with heavy edges 0-3 and 1-2, from whichever node it begins."""
    ring = nx.cycle_graph(4)
    nx.set_edge_attributes(ring, {(0, 1): 1.0, (1, 2): 5.0, (2, 3): 1.0, (0, 3): 5.0}, "weight")
    for seed in range(8):
        assert sorted(assignment(made("graclus", seed)(one(ring))).node.tolist()) == [2, 3]


@pytest.mark.filterwarnings("error")
def test_graclus_pairs_a_node_that_no_edge_leads_to() -> None:
    """As first choice of whoever it points to: its degree is zero, so its score is infinite."""
    graph = one(nx.DiGraph([(0, 1), (1, 2), (2, 1)]))
    pairs = set()
    for seed in range(8):
        coarse = made("graclus", seed)(graph)
        assert coarse.graphs.weights.isfinite().all()
        pairs.add(tuple(assignment(coarse).node.tolist()))
    # The second node of 0 and 1 where it begins at 1, and that of 1 and 2 elsewhere.
    assert pairs == {(1,), (2,)}


@pytest.mark.parametrize("name", ["ndp", "nmf", "graclus"])
def test_equal_edges_of_other_weights_are_another_graph(name: str) -> None:
    """To an operator that keeps what it has found, too."""
    operator, graph = made(name), one(weighted(12, 0))
    other = replace(graph, edge_weight=graph.weights.square())
    first, second = matrix(operator(graph).graphs), matrix(operator(other).graphs)
    assert torch.equal(second, matrix(made(name)(other).graphs))
    assert first.shape != second.shape or not torch.allclose(first, second)


@pytest.mark.parametrize("name", ["nmf", "graclus"])
def test_what_is_random_is_drawn_once_for_a_graph(name: str) -> None:
    graph = one(weighted(12, 0))
    operator = made(name)
    first = assignment(operator(graph)).dense()
    assert torch.equal(assignment(operator(graph)).dense(), first)
    assert torch.equal(assignment(made(name)(graph)).dense(), first)
    others = [assignment(made(name, seed)(graph)).dense() for seed in (1, 2, 3)]
    assert any(other.shape != first.shape or not torch.equal(other, first) for other in others)


@pytest.mark.parametrize("name", ["ndp", "nmf"])
def test_what_looks_at_no_features_is_known_by_the_edges(name: str) -> None:
    operator, parts = made(name), three_graphs()
    expected = made(name)(graphs := together(*parts))
    assert is_known_by_edges(operator)
    found = pooled([know(operator, part) for part in parts], graphs.x)
    assert torch.allclose(found.graphs.x, expected.graphs.x)
    assert torch.allclose(matrix(found.graphs), matrix(expected.graphs))
    assert torch.equal(assignment(found).dense(), assignment(expected).dense())


@pytest.mark.parametrize("nodes", [7, 64])
def test_ndp_of_a_regular_graph_follows_from_its_seed(nodes: int) -> None:
    """The ones that ARPACK starts from are an eigenvector, so it goes on from a random vector."""
    graph = one(nx.cycle_graph(nodes))
    kept = [assignment(ndp()(graph)).node.tolist() for _ in range(6)]
    assert all(nodes_kept == kept[0] for nodes_kept in kept)


def test_mincut_learns_beside_a_graph_without_edges() -> None:
    """And from graphs of which one cluster has all edges."""
    operator = made("mincut")
    lonely = nx.empty_graph(3)
    pooled = operator(together(one(weighted(12, 1)), one(lonely)))
    (
        pooled.graphs.x.sum() + pooled.graphs.weights.sum() + sum(loss.sum() for loss in pooled.losses.values())
    ).backward()
    for parameter in operator.parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all()
