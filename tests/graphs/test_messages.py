"""Messages along edges with features as one operation: compiled and plain alike, forward and backward."""

import torch
from torch import Tensor

from rethinking.graphs import messages
from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.messages import message_sum, plain_messages
from tests.operators import alike, holds, is_sound


def places(level: SparseLevel) -> tuple[Tensor, Tensor, Tensor]:
    """Where messages come from and go to, and two labels of each."""
    segments = level._incoming
    generator = torch.Generator().manual_seed(0)
    return segments.ptr, segments.rows, torch.randint(7, (len(segments.rows), 2), generator=generator)


def test_the_forms_are_alike(level: SparseLevel) -> None:
    ptr, rows, labels = places(level)
    inputs = [torch.randn(3, level.topology.width, 4), torch.randn(3, 7, 4), torch.randn(3, 1, 4)]
    holds(
        lambda x, table, own: message_sum(x, table, own, level._incoming, labels),
        lambda x, table, own: plain_messages(x, table, own, ptr, rows, labels),
        inputs,
    )
    x, table, own = (value.double() for value in inputs)
    backward = (torch.randn_like(x), x, table, own, ptr, rows, labels)
    alike(messages._compiled_backward, messages.plain_messages_backward, backward)
    is_sound("message_sum", (x, table, own, ptr, rows, labels))
    is_sound("message_sum_backward", backward)


def test_without_edges_there_is_a_nodes_own_message_only() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    x, table, own = torch.randn(2, 3, 4), torch.randn(2, 5, 4), torch.randn(2, 1, 4)
    operator = torch.ops.rethinking.message_sum.default
    assert torch.equal(
        operator(x, table, own, torch.zeros(7, dtype=torch.int64), none, none.view(0, 2)), (x + own).relu()
    )


def test_what_is_no_number_stays_so_and_in_its_replica(level: SparseLevel) -> None:
    x = torch.randn(3, level.topology.width, 2)
    x[1] = torch.nan
    out = message_sum(x, torch.randn(3, 7, 2), torch.randn(3, 1, 2), level._incoming, places(level)[2])
    assert out[1].isnan().all() and not out[[0, 2]].isnan().any()
