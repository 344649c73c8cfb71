"""Clusters drawn at random are as many as an operator has, and hang on nothing that it learns or is made of."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs, Operator
from rethinking.pooling.twins import RandomClusters, alike
from tests.pooling.made_up import KEYS, FirstHalf, Soft, make_pool


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("make", [Soft, FirstHalf])
def test_random_clusters_are_as_many_and_do_not_depend_on_what_is_learned(make: type[Operator], graphs: Graphs) -> None:
    first, second = make(in_features=3, clusters=2).double(), make(in_features=3, clusters=2).double()
    twins = [RandomClusters().of(operator, 3)(operator, graphs, KEYS) for operator in (first, second)]
    own = first(graphs).assignment
    for twin in twins:
        assert torch.equal(twin.assignment.batch, own.batch)
        assert len(twin.assignment.node) == len(own.node)
        assert not twin.losses
        assert (torch.bincount(twin.assignment.cluster, minlength=own.clusters) > 0).all()
        assert torch.equal(graphs.batch[twin.assignment.node], own.batch[twin.assignment.cluster])
    assert torch.equal(twins[0].assignment.dense(), twins[1].assignment.dense())
    if make is Soft:
        assert torch.allclose(twins[0].assignment.dense().sum(dim=1), torch.ones(13).double())


def test_random_hard_clusters_put_each_node_in_one(graphs: Graphs) -> None:
    """As many nodes as the operator has in clusters, each once, in every cluster of its graph at times."""
    pairs = Assignment(torch.arange(13), torch.tensor([0, 0, 1, 1, 1, 2, 3, 3, 4, 4, 5, 5, 6]), torch.ones(13),
                       torch.tensor([0, 0, 1, 2, 2, 3, 3]), 13)  # fmt: skip
    seen = set()
    for key in range(40):
        drawn = alike(pairs, graphs, KEYS + np.uint64(key), soft=False)
        assert sorted(drawn.node.tolist()) == list(range(13))
        seen |= set(zip(drawn.node.tolist(), drawn.cluster.tolist(), strict=True))
    assert seen == {(n, c) for n in range(13) for c in range(7) if graphs.batch[n] == pairs.batch[c]}


@pytest.mark.parametrize("score", [0.0, 1e4])
def test_random_clusters_of_a_softmax_are_soft_however_sure_it_is(score: float, graphs: Graphs) -> None:
    """Of a batch in which some entry is a zero, too; else a graph's S would hang on the graphs beside it."""
    operator = Soft(in_features=3, clusters=2).double()
    twin = RandomClusters().of(operator, 3)
    expected = twin(operator, graphs, KEYS).assignment.dense()
    with torch.no_grad():
        operator.scores.bias.copy_(torch.tensor([score, 0]))
    own = operator(graphs).assignment
    sure = replace(own, **{name: getattr(own, name)[own.weight > 0] for name in ("node", "cluster", "weight")})
    assert (len(sure.node) < len(own.node)) == (score > 0)
    found = twin(lambda graphs, given=None: replace(operator(graphs, given), assignment=given or sure), graphs, KEYS)
    assert torch.equal(found.assignment.dense(), expected)


def test_whether_clusters_are_drawn_soft_does_not_depend_on_what_was_drawn_before() -> None:
    """Of an operator that makes soft clusters by some of its initial weights, and hard ones by others."""

    class Either(Soft):
        def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
            coarse = super().forward(graphs, given)
            own = coarse.assignment
            if given is not None or own is None or self.scores.bias[0] > 0:
                return coarse
            first = {name: getattr(own, name)[:1] for name in ("node", "cluster", "weight")}
            return replace(coarse, assignment=replace(own, **first))

    soft = set()
    for seed in range(12):
        torch.manual_seed(seed)
        soft.add(make_pool(Either, RandomClusters(), [0]).twin.soft)
    assert len(soft) == 1


def test_one_cluster_of_a_graph_is_not_soft() -> None:
    """It says nothing of an operator that has several elsewhere."""

    class Whole(Soft):
        def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
            of = torch.arange(len(graphs.x))
            one = Assignment(of, graphs.batch, torch.ones(len(of)), torch.arange(graphs.count), len(of))
            return super().forward(graphs, one if given is None else given)

    assert make_pool(Whole, RandomClusters(), [0]).twin.soft is False
    assert make_pool(Soft, RandomClusters(), [0]).twin.soft is True
