"""The nearness to keys as one operation: compiled and plain alike, forward and backward."""

import pytest
import torch

from rethinking.pooling import near
from rethinking.pooling.near import nearness, plain_nearness
from tests.operators import alike, holds, is_sound


@pytest.mark.parametrize("heads", [1, 3])
def test_the_forms_are_alike(heads: int) -> None:
    inputs = [torch.randn(2, 9, 4), torch.rand(2, heads * 5, 4), torch.randn(2, heads)]
    holds(nearness, plain_nearness, inputs)
    x, keys, weight = (value.double() for value in inputs)
    out, close, total = plain_nearness(x, keys, weight)
    is_sound("nearness", (x, keys, weight))
    for needs_keys in (True, False):
        backward = (torch.randn_like(out), x, keys, weight, close, total, needs_keys)
        alike(near._compiled_backward, near.plain_nearness_backward, backward)
        is_sound("nearness_backward", backward)


def test_any_number_of_nodes_fills_blocks() -> None:
    """One, and one more."""
    for nodes in (near.BLOCK, near.BLOCK + 1):
        holds(nearness, plain_nearness, [torch.randn(2, nodes, 3), torch.rand(2, 8, 3), torch.randn(2, 2)])


def test_on_a_key_the_distance_is_zero() -> None:
    """Rounding must not make it negative."""
    keys = 100 * torch.rand(1, 6, 8)
    x = keys.clone()
    assert (plain_nearness(x, keys, torch.ones(1, 1))[1] <= 1).all()
    assert torch.allclose(nearness(x, keys, torch.ones(1, 1)), plain_nearness(x, keys, torch.ones(1, 1))[0], atol=1e-5)
