"""Sums of rows are what they are; what tells graphs apart is there after some poolings, and gone after others."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rethinking.data.wl_pairs import read_wl_pairs
from rethinking.pooling.operators.interface import Coarse, Graphs, Operator
from rethinking.scorecard.expressive import Classifier, accuracy, batch_of, row_sums
from rethinking.scorecard.fit import seeded
from rethinking.scorecard.point_clouds import point_cloud
from rethinking.scorecard.settings import card_settings
from tests.conftest import random_dataset
from tests.scorecard.operators import Identity, Pairs, Soft, Top, Uniform

FULL = card_settings("full")

SIZES = {"in_features": 2, "clusters": 8, "ratio": 0.5, "max_nodes": 64}


@pytest.mark.parametrize(
    ("operator", "constant"), [(Identity, True), (Pairs, True), (Uniform, True), (Soft, True), (Top, False)]
)
def test_which_rows_have_equal_sums(operator: type[Operator], constant: bool) -> None:
    cloud = point_cloud("ring")
    coarse = operator(**SIZES)(cloud.with_signals(torch.from_numpy(cloud.coordinates).float()))
    assert coarse.assignment is not None
    found = row_sums(coarse.assignment, FULL.expressive.tolerance)
    assert found.constant == constant
    if constant:
        assert found.least == pytest.approx(1, abs=1e-5) and found.greatest == pytest.approx(1, abs=1e-5)
    none = replace(coarse.assignment, weight=torch.zeros(len(coarse.assignment.weight)))
    assert not row_sums(none, 0.1).constant
    # Alike but for their sign is not alike.
    signs = replace(coarse.assignment, weight=(-1.0) ** coarse.assignment.node)
    assert not row_sums(signs, 0.1).constant


def test_a_batch_has_each_of_its_graphs() -> None:
    dataset = random_dataset(0, directed=True)
    chosen = np.array([5, 2, 9])
    batch = batch_of(dataset, chosen)
    assert batch.sizes.tolist() == dataset.sizes[chosen].tolist()
    for number, graph in enumerate(chosen):
        alone = batch_of(dataset, np.array([graph]))
        mine = batch.batch == number
        assert torch.equal(batch.x[mine], alone.x)
        edges = batch.edge_index[:, mine[batch.edge_index[0]]] - int(mine.nonzero()[0])
        assert torch.equal(edges, alone.edge_index)


class Forgetful(Operator):
    """A cluster a graph, with features of zeros."""

    def __init__(self, **sizes: int) -> None:
        super().__init__()

    def forward(self, graphs: Graphs, given: object = None) -> Coarse:
        x = graphs.x.new_zeros(graphs.count, graphs.x.shape[1])
        return Coarse(
            Graphs(x, torch.zeros(2, 0, dtype=torch.long), None, torch.arange(graphs.count), graphs.count), None
        )


SMALL = FULL.expressive
SMALL = replace(SMALL, data=SMALL.data | {"pairs": 30}, hidden=16, epochs=3)


def test_predictions_do_not_hang_on_what_else_is_in_a_batch() -> None:
    dataset = read_wl_pairs(None, "pairs", **SMALL.data)
    with seeded(0):
        network = Classifier(1, 2, Identity(), SMALL).eval()
    together, _ = network(batch_of(dataset, np.arange(6)))
    alone = torch.cat([network(batch_of(dataset, np.array([graph])))[0] for graph in range(6)])
    assert torch.allclose(together, alone, atol=1e-5)
    # Even before it is trained, a network sees the two graphs of a pair differently.
    assert (together[::2] - together[1::2]).abs().amax(dim=1).min() > 1e-4


def test_what_is_forgotten_cannot_be_told_apart() -> None:
    with seeded(0):
        network = Classifier(1, 2, Forgetful(), SMALL).eval()
    together, _ = network(batch_of(read_wl_pairs(None, "pairs", **SMALL.data), np.arange(6)))
    assert torch.allclose(together, together[:1])


def test_a_run_can_be_repeated_and_hangs_on_its_seed() -> None:
    first, second, other = (accuracy(Top, SMALL, seed) for seed in (0, 0, 1))
    assert first == second != other


def test_a_loss_that_is_no_number_is_said() -> None:
    class Broken(Identity):
        def forward(self, graphs: Graphs, given: object = None) -> Coarse:
            coarse = super().forward(graphs)
            return replace(coarse, graphs=replace(coarse.graphs, x=coarse.graphs.x * float("nan")))

    with pytest.raises(ValueError, match="no number in any epoch"):
        accuracy(Broken, replace(SMALL, epochs=1), 0)


@pytest.mark.slow
def test_without_pooling_pairs_are_told_apart_and_after_dropping_nodes_they_are_not() -> None:
    settings = replace(FULL.expressive, epochs=60)
    assert accuracy(Identity, settings, 0).test > 0.95
    assert accuracy(Top, settings, 0).test < 0.8
