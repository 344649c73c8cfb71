"""x W + b, and its rows scaled to unit length: compiled and plain alike, in double and in single precision."""

import pytest
import torch
import torch.nn.functional as F

from rethinking.graphs import affine as affines
from rethinking.graphs.affine import affine, plain_affine
from tests.operators import alike, holds, is_sound


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize(("width", "nodes"), [(1, 9), (2, 1), (7, 9), (3, 2 * affines.BLOCK + 9)])
def test_the_forms_are_alike(unit: bool, width: int, nodes: int) -> None:
    """Also where there are several blocks of rows."""
    inputs = [torch.randn(2, nodes, 5), torch.randn(2, 5, width), torch.randn(2, 1, width)]
    holds(lambda *values: affine(*values, unit), lambda *values: plain_affine(*values, unit), inputs)
    x, weight, bias = (value.double() for value in inputs)
    out, length = plain_affine(x, weight, bias, unit)
    scaled = (out, length) if unit else (None, None)
    for needs_x in (True, False):
        backward = (torch.randn_like(out), x, weight, *scaled, needs_x)
        alike(affines._compiled_backward, affines.plain_affine_backward, backward)
        is_sound("affine_backward", backward)
    is_sound("affine", (x, weight, bias, unit))


def test_single_precision_is_as_exact_as_torchs() -> None:
    generator = torch.Generator().manual_seed(0)
    for scale in (1e-3, 1.0, 1000.0):
        x, weight, bias = (scale * torch.randn(*s, generator=generator) for s in ((2, 50, 8), (2, 8, 13), (2, 1, 13)))
        exact = F.normalize(torch.baddbmm(bias.double(), x.double(), weight.double()), dim=-1)
        theirs = F.normalize(torch.baddbmm(bias, x, weight), dim=-1)
        error, torchs = ((y.double() - exact).abs().max() for y in (affine(x, weight, bias, unit=True), theirs))
        assert error <= 4 * torchs + 1e-6


def test_zero_rows_and_what_is_no_number() -> None:
    """A row of zeros has no direction, and a gradient as large as torch's; what is no number stays in its row."""
    x = torch.zeros(1, 3, 4, dtype=torch.double, requires_grad=True)
    weight, bias = torch.eye(4, dtype=torch.double)[None], torch.zeros(1, 1, 4, dtype=torch.double)
    (ours,) = torch.autograd.grad(affine(x, weight, bias, unit=True).sum(), x)
    (theirs,) = torch.autograd.grad(F.normalize(x, dim=-1).sum(), x)
    assert torch.equal(affine(x, weight, bias, unit=True), x) and torch.allclose(ours, theirs)
    for kind in (torch.float, torch.double):
        y = torch.ones(1, 3, 4, dtype=kind)
        y[0, 1, 2] = torch.nan
        for unit in (False, True):
            rows = affine(y, weight.to(kind), bias.to(kind), unit)
            assert rows.isnan().any(dim=2).tolist() == [[False, True, False]]


def test_the_output_may_be_changed_in_place() -> None:
    """Where the gradient does not need it."""
    x, weight, bias = (torch.randn(*shape, requires_grad=True) for shape in ((2, 5, 3), (2, 3, 4), (2, 1, 4)))
    torch.relu_(affine(x, weight, bias)).sum().backward()
    assert torch.isfinite(x.grad).all()
