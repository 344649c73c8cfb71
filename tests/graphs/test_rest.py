"""Sums over the rest of a graph: compiled and plain alike, forward and backward."""

import pytest
import torch

from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.rest import plain_rest_sum, rest_sum
from rethinking.graphs.segments import Segments
from tests.operators import holds, is_sound, plain_forms


@pytest.mark.parametrize("own", [False, True])
def test_the_forms_are_alike(level: SparseLevel, own: bool) -> None:
    """The derivative of the plain one is torch's own."""
    segments, where = level._outgoing, (level._start, level._size)
    arrays = (segments.ptr, segments.rows, *where, own)
    x = torch.randn(3, level.topology.width, 4)
    holds(lambda x: rest_sum(x, segments, *where, own), lambda x: plain_rest_sum(x, *arrays), [x])
    is_sound("rest_sum", (x, *arrays))


@pytest.mark.parametrize("plain", [False, True])
def test_padding_and_other_graphs_have_no_part(level: SparseLevel, plain: bool) -> None:
    """Not even what is no number there."""
    x = torch.randn(3, level.topology.width, 4)
    with plain_forms(plain):
        expected = level.complement.neighbour_sum(x)
        padding = ~level.present.expand_as(x)
        assert padding.any() and not expected[padding].any()
        x[padding] = torch.nan
        assert torch.equal(level.complement.neighbour_sum(x), expected)


def test_graphs_without_nodes() -> None:
    """As matchings of clusters that were dropped leave them, at the end of a replica too."""
    start, size = torch.tensor([0, 0, 2, 3, 3, 5]), torch.tensor([0, 2, 1, 0, 2, 0])
    segments = Segments(*map(torch.tensor, ([0, 1, 2, 2, 2, 2, 2], [1, 0], [0, 1, 2, 2, 2, 2, 2], [1, 0])))
    x = torch.randn(2, 3, 4)
    ours = rest_sum(x, segments, start, size, True)
    assert torch.allclose(plain_rest_sum(x, segments.ptr, segments.rows, start, size, True), ours)
