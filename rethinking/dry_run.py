"""Whether a step of training could be captured: it is run on tensors that have a shape but no numbers.

A captured step is a list of kernels that is run again and again. So nothing in it may ask the device for a number, take
numbers from the host, or draw any; with tensors on torch's `meta` device such a step comes to its end.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from rethinking.operators import plain_form

META = torch.device("meta")

# These copy from the host without a word to the dispatcher.
_FROM_HOST = (torch.tensor, torch.as_tensor, torch.from_numpy)
_INDEXING = (Tensor.__getitem__, Tensor.__setitem__)


class HostNeededError(RuntimeError):
    """A step that needs the host: it asks for a number, copies from or to the host, or draws at random."""


def needs_host(step: Callable[[], object]) -> str | None:
    """Why a step on tensors of the `meta` device could not be captured; None if it could. Errors of its own pass."""
    try:
        with _FromHost(), _OnDevice():
            step()
    except HostNeededError as error:
        return str(error)
    return None


class _OnDevice(TorchDispatchMode):
    """Refuses what needs the host, and runs the project's operators in their plain form, as other devices do."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        plain = plain_form(func)
        if plain is not None:
            with self:
                return plain(*args, **kwargs)
        if _asks(func, args) or torch.Tag.nondeterministic_seeded in func.tags:
            raise HostNeededError(f"{func} depends on numbers, or draws them")
        try:
            result = func(*args, **kwargs)
        except NotImplementedError as error:
            # What has no meaning without numbers, such as a copy to the host.
            raise HostNeededError(f"{func}: {error}") from error
        if elsewhere := {x.device for x in tree_iter((args, kwargs, result)) if isinstance(x, Tensor)} - {META}:
            raise HostNeededError(f"{func} has to do with tensors on {', '.join(map(str, elsewhere))}")
        return result


class _FromHost(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FROM_HOST:
            raise HostNeededError(f"torch.{func.__name__} copies from the host")
        if func is Tensor.numpy:
            raise HostNeededError("Tensor.numpy copies to the host")
        if func in _INDEXING and any(isinstance(part, list | np.ndarray) for part in _parts(args[1])):
            raise HostNeededError("an index by a list is copied from the host")
        return func(*args, **(kwargs or {}))


def _parts(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def _asks(operator: Any, args: Any) -> bool:
    """Whether what comes out, or how much, depends on numbers."""
    if operator is torch.ops.aten.index.Tensor:
        return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    return not {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}.isdisjoint(operator.tags)
