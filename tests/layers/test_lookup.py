"""Sums of rows of a table as one operation: compiled and plain alike, forward and backward."""

import torch

from rethinking.layers import lookup
from rethinking.layers.lookup import lookup_sum, plain_lookup
from tests.operators import alike, holds, is_sound


def test_the_forms_are_alike() -> None:
    table, start = torch.randn(3, 9, 4), torch.randn(3, 1, 4)
    rows = torch.randint(9, (3, 12, 2))
    holds(
        lambda table, start: lookup_sum(table, start, rows),
        lambda table, start: plain_lookup(table, start, rows),
        [table, start],
    )
    backward = (torch.randn(3, 12, 4).double(), rows, 9)
    alike(lookup._compiled_backward, lookup.plain_lookup_backward, backward)
    is_sound("lookup_sum", (table, start, rows))
    is_sound("lookup_sum_backward", backward)
