"""Sums over the rest of a graph: compiled and plain alike, forward and backward."""

import pytest
import torch

from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.rest import plain_rest_sum, rest_sum
from tests.operators import holds, is_sound


@pytest.mark.parametrize("own", [False, True])
def test_the_forms_are_alike(level: SparseLevel, own: bool) -> None:
    """The derivative of the plain one is torch's own."""
    segments, where = level._outgoing, (level._start, level._size)
    arrays = (segments.ptr, segments.rows, *where, own)
    x = torch.randn(3, level.topology.width, 4)
    holds(lambda x: rest_sum(x, segments, *where, own), lambda x: plain_rest_sum(x, *arrays), [x])
    is_sound("rest_sum", (x, *arrays))


def test_padding_and_other_graphs_have_no_part(level: SparseLevel) -> None:
    """Not even what is no number there."""
    x = torch.randn(3, level.topology.width, 4)
    expected = level.complement.neighbour_sum(x)
    padding = ~level.present.expand_as(x)
    assert padding.any() and not expected[padding].any()
    x[padding] = torch.nan
    assert torch.equal(level.complement.neighbour_sum(x), expected)
