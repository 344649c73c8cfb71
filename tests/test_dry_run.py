"""What a captured step must not do is found without a device."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from rethinking.dry_run import META, needs_host
from rethinking.layers.rows import softmax

WRONG: dict[str, Callable[[Tensor], object]] = {
    "a number": lambda x: float(x.sum()),
    "a list": lambda x: x.tolist(),
    "a branch": lambda x: 1 if x.sum() > 0 else 2,
    "a mask": lambda x: x[x > 0],
    "places": lambda x: x.nonzero(),
    "distinct values": lambda x: x.unique(),
    "as many as it says": lambda x: x.flatten().repeat_interleave(x.flatten().long()),
    "to the host": lambda x: x.cpu(),
    "to an array": lambda x: x.numpy(),
    "from an array": lambda x: x + torch.from_numpy(np.ones(3)).to(x.device),
    "from a list": lambda x: x + torch.tensor([1.0, 2.0, 3.0], device=x.device),
    "by a list": lambda x: x[[0, 1]],
    "a tensor of the host": lambda x: x + torch.ones(()),
    "at random": lambda x: torch.nn.functional.dropout(x),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_needs_the_host_is_refused(name: str) -> None:
    assert needs_host(lambda: WRONG[name](torch.ones(4, 3, device=META)))


def test_what_does_not_is_not() -> None:
    """Forward and backward, with an operator of the project's own."""
    x = torch.ones(4, 3, device=META, requires_grad=True)
    assert needs_host(lambda: softmax(x * torch.arange(3, device=META)).square().sum().backward()) is None
    assert x.grad.shape == x.shape


def test_an_error_of_the_steps_own_passes() -> None:
    with pytest.raises(ZeroDivisionError):
        needs_host(lambda: 1 // 0)
