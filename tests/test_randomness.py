"""Torch's own generators follow from a seed for a while, and nothing stays of it."""

import pytest
import torch

from rethinking.randomness import torch_follows


def test_draws_are_those_of_torch_with_that_seed() -> None:
    with torch_follows(7):
        drawn = torch.randn(5)
    assert torch.equal(drawn, torch.randn(5, generator=torch.Generator().manual_seed(7)))


def test_what_is_drawn_afterwards_does_not_know_of_it() -> None:
    before = torch.get_rng_state()
    with torch_follows(7):
        torch.rand(3)
    with pytest.raises(ZeroDivisionError), torch_follows(8):
        torch.rand(3)
        raise ZeroDivisionError
    assert torch.equal(torch.get_rng_state(), before)
