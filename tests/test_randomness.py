"""Torch's and NumPy's own generators follow from a seed for a while, and nothing stays of it."""

import numpy as np
import pytest
import torch

from rethinking.randomness import generators_follow


def test_draws_are_those_of_torch_with_that_seed() -> None:
    with generators_follow(7 + 2**32):
        assert np.random.rand() == np.random.RandomState(7).rand(), "NumPy's has 32 bits"
    with generators_follow(7):
        drawn = torch.randn(5)
    assert torch.equal(drawn, torch.randn(5, generator=torch.Generator().manual_seed(7)))


def test_what_is_drawn_afterwards_does_not_know_of_it() -> None:
    before, numpys = torch.get_rng_state(), np.random.get_state()
    with generators_follow(7):
        torch.rand(3)
        np.random.rand()
    with pytest.raises(ZeroDivisionError), generators_follow(8):
        torch.rand(3)
        raise ZeroDivisionError
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpys[1]) and np.random.get_state()[2] == numpys[2]
