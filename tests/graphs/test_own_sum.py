"""A node and the sum over its neighbours as one operation: compiled and plain alike, forward and backward."""

import torch

from rethinking.graphs import own_sum
from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.own_sum import plain_own_sum, sum_with_own
from tests.operators import alike, holds, is_sound


def test_the_forms_are_alike(level: SparseLevel) -> None:
    s = level._incoming
    inputs = [torch.randn(3, level.topology.width, 4), torch.randn(3, 1, 1)]
    holds(lambda x, own: sum_with_own(x, own, s), lambda x, own: plain_own_sum(x, own, s.ptr, s.rows), inputs)
    x, own = (value.double() for value in inputs)
    is_sound("sum_with_own", (x, own, s.ptr, s.rows))
    for needs_x in (True, False):
        backward = (torch.randn_like(x), x, own, s.row_ptr, s.row_segments, needs_x)
        alike(own_sum._compiled_backward, own_sum.plain_own_sum_backward, backward)
        is_sound("sum_with_own_backward", backward)


def test_on_complement_graphs_it_is_the_same_sum(level: SparseLevel) -> None:
    x, own = torch.randn(3, level.topology.width, 4), torch.randn(3, 1, 1)
    expected = own * x + level.complement.incoming_sum(x)
    assert torch.equal(level.complement.incoming_sum_with_own(x, own), expected)
