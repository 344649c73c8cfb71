"""The entropy of assignments as one operation: compiled and plain alike, in double and in single precision."""

import torch

from rethinking.pooling import entropy as entropies
from rethinking.pooling.entropy import entropy, plain_entropy
from tests.operators import alike, holds, is_sound

NODES = torch.tensor([9, 4, 1])


def test_the_forms_are_alike() -> None:
    s = (3 * torch.randn(3, 9, 5)).softmax(dim=-1)
    s[0, 0] = torch.eye(5)[2]
    holds(lambda s: entropy(s, NODES), lambda s: plain_entropy(s, NODES), [s])
    s = s.double()
    logs = (s + entropies.SMALL).log()
    backward = (torch.randn(3, dtype=torch.double), s, logs, NODES)
    alike(entropies._compiled_backward, entropies.plain_entropy_backward, backward)
    is_sound("assignment_entropy_backward", backward)
    # What lies in padding rows is undefined, so that only the shapes are held here.
    sums, _ = torch.ops.rethinking.assignment_entropy(s, NODES)
    assert torch.allclose(sums, plain_entropy(s, NODES)[0])
    is_sound("assignment_entropy", (s, torch.tensor([9, 9, 9])))


def test_single_precision_is_as_exact_as_torchs() -> None:
    """Of numbers of every size, from zero to one."""
    generator = torch.Generator().manual_seed(0)
    s = (30 * torch.randn(1, 500, 12, generator=generator)).softmax(dim=-1)
    s[0, 0, :4] = torch.tensor([0.0, 1.0, 2**-0.5, 1e-15])
    _, logs = torch.ops.rethinking.assignment_entropy(s, torch.tensor([500]))
    exact = (s.double() + entropies.SMALL).log()
    ours, torchs = ((y.double() - exact).abs().max() for y in (logs, (s + entropies.SMALL).log()))
    assert ours <= 4 * torchs + 1e-7
    near = s > 0.5
    assert (logs.double() - exact)[near].abs().max() < 1e-6


def test_padding_has_no_part_and_what_is_no_number_stays() -> None:
    s = torch.full((3, 9, 5), 0.2)
    s[1, 4:] = torch.nan
    s.requires_grad_()
    sums = entropy(s, NODES)
    (grad,) = torch.autograd.grad(sums.sum(), s)
    assert torch.isfinite(sums).all() and torch.isfinite(grad).all()
    for kind in (torch.float, torch.double):
        s = torch.full((3, 9, 5), 0.2, dtype=kind)
        s[0, 3, 1] = torch.nan
        assert entropy(s, NODES).isnan().tolist() == [True, False, False]
