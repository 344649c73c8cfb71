"""The floor of a benchmark counts the products of a step, in operators of our own too, and no padding."""

import numpy as np
import pytest
import torch

from rethinking.configuration.composition import compose_cell
from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.topology import Topology
from scripts.floor import Counting, products_of, rate
from tests.conftest import random_dataset


def test_products_within_operators_are_counted_forward_and_backward(topology: Topology) -> None:
    level = SparseLevel(topology, torch.device("cpu"))
    replicas, width = 3, topology.width
    x, weight = torch.randn(replicas, width, 5, requires_grad=True), torch.randn(replicas, 10, 7, requires_grad=True)
    with Counting(width) as counting:
        level.convolve_incoming(x, weight, torch.zeros(replicas, 1, 7), False).sum().backward()
    # [X | sums] W; its gradients for both factors.
    assert counting.flops == {(7, 10): 3 * 2 * replicas * width * 10 * 7}


@pytest.mark.parametrize("family", ["graclus", "diffpool", "gmn", "mincut"])
def test_a_graph_has_its_own_products_whatever_lies_beside_it(family: str) -> None:
    dataset = random_dataset(7)
    cell = compose_cell([f"model={family}", "pooling=learned", "dataset=digits"])
    small, large = (int(f(dataset.sizes)) for f in (np.argmin, np.argmax))
    alone = [products_of(cell, dataset, [graph]).flops for graph in (small, large)]
    assert 0 < alone[0] < alone[1]
    assert products_of(cell, dataset, [small, large]).flops == pytest.approx(sum(alone) / 2)
    widths = products_of(cell, dataset, [large]).widths
    assert rate(200, widths) > 1e8
