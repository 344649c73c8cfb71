"""Softmax and unit length of rows: compiled and plain alike, in double and in single precision."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rethinking.layers import rows
from rethinking.layers.rows import softmax, unit_length
from tests.operators import alike, holds, is_sound

OURS = {
    "softmax": (softmax, rows.plain_softmax),
    "unit length": (unit_length, rows.plain_unit),
}


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("width", [1, 2, 7, 32])
def test_the_forms_are_alike(name: str, width: int) -> None:
    ours, plain = OURS[name]
    x = 3 * torch.randn(2, 9, width)
    holds(ours, plain, [x])
    x = x.double()
    _, length = rows.plain_unit(x)
    grad = torch.randn_like(x)
    alike(rows._compiled_unit_backward, rows.plain_unit_backward, (grad, x, length))
    alike(rows._compiled_softmax_backward, rows.plain_softmax_backward, (grad, x.softmax(dim=-1)))
    is_sound("row_softmax", (x,))
    is_sound("row_softmax_backward", (grad, x))
    is_sound("row_unit_length", (x,))
    is_sound("row_unit_length_backward", (grad, x, length))


@pytest.mark.parametrize(("ours", "torchs"), [(softmax, torch.softmax), (unit_length, F.normalize)])
def test_single_precision_is_as_exact_as_torchs(
    ours: Callable[[Tensor], Tensor], torchs: Callable[..., Tensor]
) -> None:
    """Far from zero too, where the exponential is a power of two times a polynomial."""
    for scale in (1e-3, 1.0, 30.0, 1000.0):
        x = scale * torch.randn(200, 13)
        x[:, 4] = x.amax(dim=1)
        exact = torchs(x.double(), dim=-1)
        error, theirs = ((y.double() - exact).abs().max() for y in (ours(x), torchs(x, dim=-1)))
        assert error <= 4 * theirs + 1e-7


def test_zero_rows_and_what_is_no_number() -> None:
    """A row of zeros has no direction, and a gradient as large as torch's; what is no number stays in its row."""
    x = torch.zeros(3, 4, dtype=torch.double, requires_grad=True)
    (ours,) = torch.autograd.grad(unit_length(x).sum(), x)
    (theirs,) = torch.autograd.grad(F.normalize(x, dim=-1).sum(), x)
    assert torch.equal(unit_length(x), torch.zeros(3, 4)) and torch.allclose(ours, theirs)
    for ours_of in (softmax, unit_length):
        for kind in (torch.float, torch.double):
            y = torch.ones(3, 4, dtype=kind)
            y[1, 2] = torch.nan
            assert ours_of(y).isnan().any(dim=1).tolist() == [False, True, False]
