"""MinCutPool's normalisation: compiled and plain alike, forward and backward, where clusters receive nothing too."""

import torch

from rethinking.pooling import normalise as normalising
from rethinking.pooling.normalise import normalise, plain_normalise
from tests.operators import alike, holds, is_sound


def test_the_forms_are_alike() -> None:
    adjacency = torch.rand(2, 3, 5, 5)
    adjacency[0, 1, 2] = 0
    adjacency[1, 1] = 0
    holds(normalise, plain_normalise, [adjacency])
    out, scale = plain_normalise(adjacency.double())
    backward = (torch.randn_like(out), out, scale)
    alike(normalising._compiled_backward, normalising.plain_normalise_backward, backward)
    is_sound("normalise", (adjacency,))
    is_sound("normalise_backward", backward)


def test_the_diagonal_has_no_part() -> None:
    adjacency = torch.rand(1, 1, 4, 4)
    expected = normalise(adjacency)
    adjacency[0, 0].fill_diagonal_(torch.nan)
    assert torch.equal(normalise(adjacency), expected)


def test_what_is_no_number_stays() -> None:
    """A run that goes wrong must fail, and not go on with zeros."""
    adjacency = torch.rand(1, 1, 3, 3)
    adjacency[0, 0, 0, 1] = torch.nan
    assert normalise(adjacency)[0, 0, 0, 1:].isnan().all()


def test_a_single_cluster() -> None:
    assert torch.equal(normalise(torch.ones(1, 2, 1, 1)), torch.zeros(1, 2, 1, 1))
