"""What a level keeps of the last features it was asked about."""

from collections.abc import Callable, Hashable

import torch
from torch import Tensor


class Last:
    """The last result, so that two that ask for the same, one after the other, have it made once."""

    def __init__(self) -> None:
        self._kept: tuple[Tensor, Hashable, Tensor] | None = None

    def get(self, x: Tensor, how: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """`make()`, or what was kept of it, if `x` and `how` are the last ones.

        Made anew where x has changed in place since, or is to have a gradient and was not.
        """
        asked = (how, x._version, torch.is_grad_enabled())
        if self._kept is None or self._kept[0] is not x or self._kept[1] != asked:
            self._kept = x, asked, make()
        return self._kept[2]
