"""Graphs that all tests of twins pool."""

import pytest
import torch

from rethinking.pooling.operators.interface import Graphs


@pytest.fixture
def graphs() -> Graphs:
    """Four graphs: five nodes, one, four without edges, three."""
    edges = torch.tensor([[0, 1, 1, 2, 3, 4, 10, 11, 11, 12], [1, 0, 2, 1, 4, 3, 11, 10, 12, 11]])
    batch = torch.tensor([0] * 5 + [1] + [2] * 4 + [3] * 3)
    return Graphs(torch.randn(13, 3, dtype=torch.float64, generator=torch.manual_seed(0)), edges, None, batch, 4)
