"""What every operator of torch's that the project defines is held to."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from rethinking.operators import use_compiled


def holds(
    ours: Callable[..., Tensor], plain: Callable[..., Tensor | tuple[Tensor, ...]], inputs: Sequence[Tensor]
) -> None:
    """In double precision, forward and backward, compiled equals plain torch, whose derivative is torch's own.

    inputs: those that have a gradient; plain: returns the same, and perhaps more behind it.
    """
    inputs = [value.double().detach().requires_grad_() for value in inputs]
    expected = plain(*inputs)
    expected = expected[0] if isinstance(expected, tuple) else expected
    result = ours(*inputs)
    assert torch.allclose(result, expected, atol=1e-10)
    weight = torch.arange(expected.numel(), dtype=torch.double).sin().view_as(expected)
    grads = [torch.autograd.grad((y * weight).sum(), inputs) for y in (result, expected)]
    for mine, theirs in zip(*grads, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-8 * float(theirs.abs().max() + 1))
    # What lies otherwise in memory, and where one gradient only is asked for.
    turned = [value.transpose(-1, -2).contiguous().transpose(-1, -2).detach().requires_grad_() for value in inputs]
    assert torch.allclose(ours(*turned), expected, atol=1e-10)
    for value, theirs in zip(inputs, grads[1], strict=True):
        others = [v if v is value else v.detach() for v in inputs]
        (mine,) = torch.autograd.grad((ours(*others) * weight).sum(), value)
        assert torch.allclose(mine, theirs, atol=1e-8 * float(theirs.abs().max() + 1))


def alike(compiled: Callable[..., Any], plain: Callable[..., Any], arguments: Sequence[Any]) -> None:
    """The two forms of an operator that has no derivative, such as another's backward."""
    results = [form(*arguments) for form in (compiled, plain)]
    pairs = zip(*results, strict=True) if isinstance(results[0], tuple) else [results]
    for mine, theirs in pairs:
        assert torch.allclose(mine, theirs, atol=1e-10)


def is_sound(name: str, arguments: Sequence[Any]) -> None:
    """torch's own check of a custom operator: its schema, and what comes out by shape alone."""
    operator = getattr(torch.ops.rethinking, name).default
    torch.library.opcheck(operator, tuple(arguments), test_utils=("test_schema", "test_faketensor"))


@contextmanager
def plain_forms(chosen: bool = True) -> Iterator[None]:
    """Within it operators are their plain torch forms, as on other devices than the CPU."""
    use_compiled(not chosen)
    try:
        yield
    finally:
        use_compiled(True)
