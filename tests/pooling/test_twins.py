"""Twins of an operator differ from it in one thing, and operators train in a group as they would alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch_geometric.nn import GraphConv as PyGGraphConv

from rethinking.data.batches import Batches
from rethinking.data.dataset import GraphDataset
from rethinking.graphs.listed import listed
from rethinking.layers.convolutions import GraphConv
from rethinking.layers.initial import initialise
from rethinking.pooling.foreign import NoPool, WholeGraph
from rethinking.pooling.operators.identity import Identity, sums
from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, Operator
from rethinking.pooling.twins import (
    OnComplement,
    Shuffled,
    ShuffledInput,
    complement,
    permutation,
)
from tests.conftest import random_dataset
from tests.pooling.made_up import KEYS, FirstHalf, Soft, make_pool
from tests.scorecard.published import published_operators


def dense(graphs: Graphs) -> torch.Tensor:
    a = torch.zeros(len(graphs.x), len(graphs.x), dtype=torch.float64)
    return a.index_put((graphs.edge_index[0], graphs.edge_index[1]), graphs.weights.double(), accumulate=True)


def test_a_permutation_stays_within_each_graph_and_belongs_to_its_key(graphs: Graphs) -> None:
    order = permutation(graphs, KEYS)
    assert torch.equal(graphs.batch[order], graphs.batch)
    assert order.sort().values.tolist() == list(range(13))
    assert not torch.equal(order, torch.arange(13))
    # The last graph by itself, as in a batch with none before it.
    alone = Graphs(graphs.x[10:], graphs.edge_index[:, 6:] - 10, None, graphs.batch[10:] - 3, 1)
    assert torch.equal(permutation(alone, KEYS[3:]) + 10, order[10:])
    assert any(not torch.equal(permutation(graphs, KEYS + np.uint64(i)), order) for i in range(1, 4))


def test_the_complement_has_an_edge_where_there_is_none(graphs: Graphs) -> None:
    same = graphs.batch[:, None] == graphs.batch
    expected = same & (dense(graphs) == 0) & ~torch.eye(13, dtype=torch.bool)
    assert torch.equal(dense(complement(graphs)) > 0, expected)


@pytest.mark.parametrize("make", [Soft, FirstHalf])
def test_shuffled_moves_the_clusters_to_other_nodes_and_nothing_else(make: type[Operator], graphs: Graphs) -> None:
    operator = make(in_features=3, clusters=2).double()
    own, twin = operator(graphs), Shuffled()(operator, graphs, KEYS)
    order = permutation(graphs, KEYS)
    s = own.assignment.dense()
    moved = torch.zeros_like(s).index_copy(0, order, s)
    assert torch.equal(twin.assignment.dense(), moved)
    assert torch.allclose(twin.graphs.x, moved.T @ graphs.x)
    assert torch.allclose(dense(twin.graphs), moved.T @ dense(graphs) @ moved)
    assert twin.losses == own.losses


def test_complement_clusters_by_the_other_edges_but_keeps_its_own(graphs: Graphs) -> None:
    class Degrees(Soft):
        def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
            if given is None:
                degree = dense(graphs).sum(dim=1).long().clamp(max=1)
                batch = torch.arange(graphs.count).repeat_interleave(2)
                given = Assignment(torch.arange(13), graphs.batch * 2 + degree, torch.ones(13).double(), batch, 13)
            return sums(graphs, given)

    operator = Degrees(3, 2)
    twin = OnComplement()(operator, graphs, KEYS)
    s = operator(complement(graphs)).assignment.dense()
    assert not torch.equal(s, operator(graphs).assignment.dense())
    assert torch.allclose(dense(twin.graphs), s.T @ dense(graphs) @ s)
    soft = Soft(in_features=3, clusters=2).double()
    assert OnComplement()(soft, graphs, KEYS).losses == soft(complement(graphs)).losses


@pytest.mark.usefixtures("double")
def test_each_replica_pools_as_the_operator_alone(dataset: GraphDataset) -> None:
    pool = make_pool(Soft, None, [3, 4])
    batch = Batches(dataset, torch.device("cpu")).batch(np.array([[0, 5, 9], [20, 1, 5]]), np.zeros(2, np.uint64))
    x = torch.randn(*batch.x.shape[:2], 3)
    pooled = pool(x, batch.level)
    for replica, part in enumerate(listed(batch.level)):
        alone = Soft(3, 2)
        alone.load_state_dict({name: pool.get_parameter_or_buffer(name)[replica] for name in alone.state_dict()})
        coarse = alone(Graphs(x[replica, : part.nodes], part.edge_index, None, part.batch, 3))
        assert torch.allclose(pooled.x[replica], coarse.graphs.x)
        assert torch.allclose(pooled.losses["certainty"][replica], coarse.losses["certainty"])
        # The next convolution is PyG's, with weights.
        conv = GraphConv(2, 3, 4)
        initialise(conv, [0, 1])
        theirs = PyGGraphConv(3, 4)
        theirs.load_state_dict({"lin_root.weight": conv.weight[replica, :3].T, "lin_rel.bias": conv.bias[replica, 0],
                                "lin_rel.weight": conv.weight[replica, 3:].T})  # fmt: skip
        expected = theirs(coarse.graphs.x, coarse.graphs.edge_index, coarse.graphs.weights)
        assert torch.allclose(conv(pooled.x, pooled.level)[replica], expected)
        for graph in range(3):
            s = coarse.assignment.dense()[part.batch == graph][:, coarse.assignment.batch == graph]
            assert np.allclose(pooled.selection.of_graph(3 * replica + graph), s.detach())


def test_an_operator_is_told_whether_edges_are_directed(dataset: GraphDataset) -> None:
    """In the first layer and in the next; complement graphs are not."""
    told: list[bool] = []

    class Told(Soft):
        def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
            told.append(graphs.directed)
            return super().forward(graphs, given)

    batch = Batches(dataset, torch.device("cpu")).batch(np.array([[0, 5, 9]]), np.zeros(1, np.uint64))
    pooled = make_pool(Told, None, [3])(torch.randn(*batch.x.shape[:2], 3), batch.level)
    make_pool(Told, OnComplement(), [3])(pooled.x, pooled.level)
    assert told == [dataset.directed, False, dataset.directed]


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("operator", [Soft, FirstHalf])
def test_a_selection_says_the_same_in_all_its_forms(operator: Any, dataset: GraphDataset) -> None:
    pool = make_pool(operator, None, [3, 4])
    batch = Batches(dataset, torch.device("cpu")).batch(np.array([[0, 5, 9], [20, 1, 5]]), np.zeros(2, np.uint64))
    pooled = pool(torch.randn(*batch.x.shape[:2], 3), batch.level)
    selection, soft = pooled.selection, pooled.selection.soft()
    lifted, by_graph = (values.flatten(0, 1) for values in (selection.lift(pooled.x), selection.by_graph(pooled.x)))
    for graph in range(6):
        own = selection.of_graph(graph)
        clusters = pooled.x.flatten(0, 1)[pooled.level.rows_of(graph)]
        assert torch.equal(by_graph[graph, : len(clusters)], clusters) and not by_graph[graph, len(clusters) :].any()
        assert torch.allclose(lifted[batch.level.rows_of(graph)], torch.from_numpy(own) @ clusters)
        assert np.allclose(soft.of_graph(graph)[:, : own.shape[1]], own)
    assert torch.equal(selection.members >= 0, selection.row_sums.squeeze(-1) > 0)


@pytest.mark.usefixtures("double")
def test_the_identity_is_no_pooling(dataset: GraphDataset) -> None:
    batch = Batches(dataset, torch.device("cpu")).batch(np.array([[0, 5, 9], [20, 1, 5]]), np.zeros(2, np.uint64))
    x = torch.randn(*batch.x.shape[:2], 3) * batch.level.present
    ours, none = make_pool(Identity, None, [0, 1])(x, batch.level), NoPool(3)(x, batch.level)
    assert torch.allclose(ours.x, none.x)
    assert torch.allclose(ours.level.incoming_sum(ours.x), none.level.incoming_sum(none.x))
    for graph in range(6):
        assert np.array_equal(ours.selection.of_graph(graph), none.selection.of_graph(graph))


@pytest.mark.usefixtures("double")
def test_the_whole_graph_is_its_mean(dataset: GraphDataset) -> None:
    batch = Batches(dataset, torch.device("cpu")).batch(np.array([[0, 5, 9], [20, 1, 5]]), np.zeros(2, np.uint64))
    pooled = WholeGraph(3)(x := torch.randn(*batch.x.shape[:2], 3), batch.level)
    assert torch.allclose(pooled.level.graph_sum(pooled.x), batch.level.graph_mean(x))
    assert not pooled.level.incoming_sum(pooled.x).any()


@pytest.mark.usefixtures("double")
def test_sums_along_edges_are_products_with_the_adjacency(dataset: GraphDataset) -> None:
    """Weighted and directed; loops count."""
    batch = Batches(dataset, torch.device("cpu")).batch(np.array([[0, 5, 9], [20, 1, 5]]), np.zeros(2, np.uint64))
    pooled = make_pool(Soft, None, [3, 4])(torch.randn(*batch.x.shape[:2], 3), batch.level)
    x, level = pooled.x, pooled.level
    width = level.topology.rows
    a = torch.zeros(width, width).index_put(tuple(level.edge_index), level.edge_weight, accumulate=True)
    rows, own = x.flatten(0, 1), torch.eye(width)
    mean = lambda m: m / torch.where((total := m.sum(dim=1, keepdim=True)) == 0, 1, total)  # noqa: E731
    expected = {
        "neighbour_sum": a @ rows, "incoming_sum": a.T @ rows, "neighbour_mean": mean(a) @ rows,
        "incoming_mean": mean(a.T) @ rows, "mean_with_self": (rows + a @ rows) / (1 + a.sum(dim=1, keepdim=True)),
    }  # fmt: skip
    for name, value in expected.items():
        assert torch.allclose(getattr(level, name)(x).flatten(0, 1), value), name
    assert torch.allclose(level.incoming_sum_with_own(x, torch.ones(2, 1, 1)).flatten(0, 1), (own + a.T) @ rows)
    weight, bias = torch.randn(2, 6, 4), torch.randn(2, 1, 4)
    found = level.convolve_outgoing(x, weight, bias, relu=True)
    assert torch.allclose(found, torch.relu(torch.cat([x, (a @ rows).view_as(x)], dim=-1) @ weight + bias))


def test_a_black_box_has_twins_that_need_no_assignment_only() -> None:
    silent = lambda **sizes: FirstHalf(silent=True)  # noqa: E731
    with pytest.raises(ValueError, match="does not say which nodes"):
        make_pool(silent, Shuffled(), [0])
    pool = make_pool(silent, ShuffledInput(), [0])
    batch = Batches(random_dataset(7), torch.device("cpu")).batch(np.array([[0, 1]]), np.zeros(1, np.uint64))
    assert pool(torch.randn(*batch.x.shape[:2], 3), batch.level).selection is None


def test_twins_are_the_same_in_every_step_and_others_for_other_seeds(dataset: GraphDataset) -> None:
    pool = make_pool(FirstHalf, Shuffled(), [3, 4])
    batches = Batches(dataset, torch.device("cpu"))
    graphs = np.array([[9, 5], [9, 5]])
    first = batches.batch(graphs, np.zeros(2, np.uint64))
    again = batches.batch(graphs[:, ::-1].copy(), np.ones(2, np.uint64))
    x = torch.randn(*first.x.shape[:2], 3)
    one, other = pool(x, first.level).selection, pool(x, again.level).selection
    assert np.array_equal(one.of_graph(0), other.of_graph(1))
    assert not np.array_equal(one.of_graph(0), one.of_graph(2))


def test_what_sees_no_features_is_asked_once_for_each_graph(dataset: GraphDataset) -> None:
    calls = []

    class ByEdges(FirstHalf):
        sees_features = False

        def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
            calls.append(given is None)
            return super().forward(graphs, given)

    pools = [make_pool(maker, twin, [3]) for maker in (ByEdges, FirstHalf) for twin in (None, OnComplement())]
    calls.clear()
    batches = Batches(dataset, torch.device("cpu"))
    asked = []
    for graphs in ([[9, 5, 2]], [[2, 9, 9]], [[5, 7, 2]], [[7, 5, 9]]):
        batch = batches.batch(np.array(graphs), np.zeros(1, np.uint64))
        x = torch.randn(*batch.x.shape[:2], 3)
        ours, other, expected, other_expected = (pool(x, batch.level) for pool in pools)
        assert torch.equal(ours.x, expected.x)
        assert torch.equal(other.level.edge_index, other_expected.level.edge_index)
        asked.append((calls.count(True), len(calls)))
    # Which clusters: of four graphs and their complements. Of known graphs, nothing.
    assert [clusters for clusters, _ in asked] == [6, 6, 8, 8]
    assert asked[0] == asked[1] and asked[2] == asked[3]


def test_what_is_no_sum_over_nodes_is_asked_in_every_step(dataset: GraphDataset) -> None:
    class Largest(FirstHalf):
        sees_features = False

        def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
            pooled = super().forward(graphs, given)
            return replace(pooled, graphs=replace(pooled.graphs, x=pooled.graphs.x.relu()))

    batch = Batches(dataset, torch.device("cpu")).batch(np.array([[9, 5, 2]]), np.zeros(1, np.uint64))
    x = torch.randn(*batch.x.shape[:2], 3)
    found, sums = (make_pool(maker, None, [3])(x, batch.level).x for maker in (Largest, FirstHalf))
    assert torch.equal(found, sums.relu()) and bool((sums < 0).any())


def test_clusters_that_are_drawn_do_not_depend_on_when_a_graph_was_met(dataset: GraphDataset) -> None:
    """Else a training that is taken up again would end in other numbers."""

    class Drawn(FirstHalf):
        sees_features = False

        def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
            if given is None:
                halves = super().forward(graphs).assignment
                given = permuted_at_random(halves, graphs)
            return super().forward(graphs, given)

    batches = Batches(dataset, torch.device("cpu"))
    found = []
    for order in ([[9, 5, 2]], [[2, 9, 5]]):
        pool = make_pool(Drawn, None, [3])
        batch = batches.batch(np.array(order), np.ones(1, np.uint64))
        selection = pool(torch.randn(*batch.x.shape[:2], 3), batch.level).selection
        found.append({number: selection.of_graph(place) for place, number in enumerate(order[0])})
    for number in (9, 5, 2):
        assert np.array_equal(found[0][number], found[1][number])


@pytest.mark.usefixtures("double")
def test_what_an_operator_remembers_is_its_replicas_own(dataset: GraphDataset) -> None:
    """In attributes that are no buffers, and what it draws from NumPy; also when another replica has left."""

    class Counts(FirstHalf):
        step = 0

        def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
            self.step += 1
            coarse = super().forward(graphs, given)
            x = coarse.graphs.x * (self.step + np.random.rand())
            return replace(coarse, graphs=replace(coarse.graphs, x=x))

    together, *alone = (make_pool(Counts, None, seeds) for seeds in ([3, 4], [3], [4]))
    batches = Batches(dataset, torch.device("cpu"))
    numbers, keys = np.array([[9, 5], [2, 7]]), np.array([1, 2], np.uint64)
    for step in range(3):
        there = [0, 1] if step < 2 else [1]
        if step == 2:
            together.key, together.anchor = together.key[1:], nn.Parameter(together.anchor[1:])
        batch = batches.batch(numbers[there], keys[there])
        x = torch.randn(*batch.x.shape[:2], 3)
        found = together(x, batch.level).x
        for place, replica in enumerate(there):
            single = batches.batch(numbers[[replica]], keys[[replica]])
            expected = alone[replica](x[[place], : single.x.shape[1]], single.level).x[0]
            assert torch.equal(found[place, : len(expected)], expected)


@pytest.mark.usefixtures("double")
def test_losses_have_the_same_names_in_each_call(dataset: GraphDataset) -> None:
    class Moody(FirstHalf):
        def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
            name = "a" if float(self.anchor.detach()) else "b"
            return replace(super().forward(graphs, given), losses={name: graphs.x.sum()})

    pool = make_pool(Moody, None, [3, 4])
    batch = Batches(dataset, torch.device("cpu")).batch(np.array([[9], [2]]), np.zeros(2, np.uint64))
    x = torch.randn(*batch.x.shape[:2], 3)
    assert list(pool(x, batch.level).losses) == ["b"]
    pool.anchor.data[1] = 1.0
    with pytest.raises(ValueError, match=r"other losses in one call \(b\) than in another \(a\)"):
        pool(x, batch.level)


def permuted_at_random(assignment: Assignment, graphs: Graphs) -> Assignment:
    keys = torch.randint(2**62, (graphs.count,)).numpy().astype(np.uint64)
    return assignment.permuted(permutation(graphs, keys))


@pytest.mark.usefixtures("double")
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", ["graclus", "nmf", "ndp"])
def test_what_an_operator_draws_is_of_its_seed_and_of_no_other_replica(name: str) -> None:
    """Of the released code's: in a group as alone, whatever was met before and in whichever step."""
    make, dataset = published_operators()[name], random_dataset(7)
    numbers = np.argsort(-dataset.sizes)[:4]
    batch = Batches(dataset, torch.device("cpu")).batch(np.tile(numbers, (3, 1)), np.ones(3, np.uint64))
    x = torch.randn(1, batch.x.shape[1], 3).repeat(3, 1, 1) * batch.level.present
    together = make_pool(make, None, [3, 4, 5])(x, batch.level)
    drawn = set()
    for replica, seed in enumerate([3, 4, 5]):
        part = Batches(dataset, torch.device("cpu")).batch(numbers[None, ::-1].copy(), np.zeros(1, np.uint64))
        alone = make_pool(make, None, [seed])
        alone(torch.zeros(1, part.x.shape[1], 3), part.level)
        again = Batches(dataset, torch.device("cpu")).batch(numbers[None], np.zeros(1, np.uint64))
        single = alone(x[replica : replica + 1], again.level)
        width = single.x.shape[1]
        assert torch.allclose(together.x[replica, :width], single.x[0])
        drawn.add(tuple(single.x[0].flatten().tolist()))
    # NDP draws for graphs that cannot be cut well only.
    assert len(drawn) == 3 or name == "ndp"
