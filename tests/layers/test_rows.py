"""The softmax of rows: compiled and plain alike, in double and in single precision."""

import pytest
import torch

from rethinking.layers import rows
from rethinking.layers.rows import softmax
from tests.operators import alike, holds, is_sound


@pytest.mark.parametrize("width", [1, 2, 7, 32])
def test_the_forms_are_alike(width: int) -> None:
    x = 3 * torch.randn(2, 9, width)
    holds(softmax, rows.plain_softmax, [x])
    x = x.double()
    grad = torch.randn_like(x)
    alike(rows._compiled_softmax_backward, rows.plain_softmax_backward, (grad, x.softmax(dim=-1)))
    is_sound("row_softmax", (x,))
    is_sound("row_softmax_backward", (grad, x))


def test_single_precision_is_as_exact_as_torchs() -> None:
    """Far from zero too, where the exponential is a power of two times a polynomial."""
    generator = torch.Generator().manual_seed(0)
    for scale in (1e-3, 1.0, 30.0, 1000.0):
        x = scale * torch.randn(200, 13, generator=generator)
        x[:, 4] = x.amax(dim=1)
        exact = x.double().softmax(dim=-1)
        error, theirs = ((y.double() - exact).abs().max() for y in (softmax(x), x.softmax(dim=-1)))
        assert error <= 4 * theirs + 1e-7


def test_what_is_no_number_stays_in_its_row() -> None:
    for kind in (torch.float, torch.double):
        y = torch.ones(3, 4, dtype=kind)
        y[1, 2] = torch.nan
        assert softmax(y).isnan().any(dim=1).tolist() == [False, True, False]
