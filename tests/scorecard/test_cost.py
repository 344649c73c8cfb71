"""Costs grow as they must."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from rethinking.analysis.scorecards import growth
from rethinking.pooling.operators.interface import Assignment, Coarse, Graphs
from rethinking.scorecard import cost
from rethinking.scorecard.cost import costs
from rethinking.scorecard.settings import card_settings
from tests.scorecard.operators import Identity

FULL = card_settings("full")

MEBIBYTE = 2**20


def test_slopes_are_powers() -> None:
    nodes = np.array([10, 20, 40])
    assert growth(nodes, 7.0 * nodes**1.5) == pytest.approx(1.5)


class Hungry(Identity):
    """Has, for a moment, a matrix of all pairs of nodes."""

    def forward(self, graphs: Graphs, given: Assignment | None = None) -> Coarse:
        nodes = len(graphs.x)
        assert torch.ones(nodes, nodes).sum() > 0
        return super().forward(graphs)


def test_memory_that_is_freed_again_is_counted() -> None:
    settings = replace(FULL.cost, nodes=[2000, 4000], features=2, repeats=1)
    small, large = costs(Hungry, settings)
    if math.isnan(small.memory):
        pytest.skip("this system does not say how much memory was used")
    for found, nodes in ((small, 2000), (large, 4000)):
        assert found.memory == pytest.approx(4 * nodes**2, abs=8 * MEBIBYTE)
    assert costs(Identity, settings)[1].memory < large.memory / 4
    assert min(small.first, small.seconds) > 0


def test_where_memory_is_not_said_it_is_no_number(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(cost, "PROCESS", tmp_path)
    (found,) = costs(Identity, replace(FULL.cost, nodes=[16], repeats=1))
    assert math.isnan(found.memory)
