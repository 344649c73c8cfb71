"""Products over the nodes of each graph: compiled and plain alike, forward and backward."""

import torch

from rethinking.graphs import products
from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.products import graph_product, plain_product
from rethinking.graphs.topology import Topology
from tests.conftest import CPU
from tests.operators import alike, holds, is_sound


def test_the_forms_are_alike(topology: Topology) -> None:
    where = (torch.from_numpy(topology.start), torch.from_numpy(topology.size), topology.largest)
    a, b = torch.randn(3, topology.width, 4), torch.randn(3, topology.width, 5)
    holds(lambda a, b: graph_product(a, b, *where), lambda a, b: plain_product(a, b, *where), [a, b])
    matrices = torch.randn(len(topology.start), 4, 5, dtype=torch.double)
    arguments = (a.double(), matrices, *where)
    alike(products._compiled_rows, products.plain_rows, arguments)
    is_sound("graph_product", (a, b, *where))
    is_sound("graph_rows_product", arguments)


def test_padding_and_other_graphs_have_no_part(topology: Topology) -> None:
    """Not even what is no number there."""
    level = SparseLevel(topology, CPU)
    a, b = torch.randn(3, topology.width, 4), torch.randn(3, topology.width, 5)
    expected = level.product(a, b)
    padding = ~level.present.expand_as(a)
    a[padding] = torch.nan
    assert torch.equal(level.product(a, b), expected)
    a[0] = torch.nan
    assert torch.equal(level.product(a, b)[1:], expected[1:])


def test_a_tensor_by_itself(topology: Topology) -> None:
    """Both factors the same: their gradients add."""
    where = (torch.from_numpy(topology.start), torch.from_numpy(topology.size), topology.largest)
    s = torch.randn(3, topology.width, 3)
    holds(lambda s: graph_product(s, s, *where), lambda s: plain_product(s, s, *where), [s])
