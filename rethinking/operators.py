"""Operators of torch's that the project defines: compiled loops on the CPU, plain torch on any other device.

Nothing else in the project asks which device it runs on, or which of the two forms is chosen (`fast=false`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# So that the BLAS of compiled loops is loaded when its threads are counted.
import scipy.linalg  # noqa: F401
import torch
from numba.core import event
from threadpoolctl import threadpool_limits

_LIBRARY = torch.library.Library("rethinking", "DEF")
_compiled_is_chosen = True
_PLAIN: dict[Any, Callable[..., Any]] = {}


def define(
    schema: str, compiled: Callable[..., Any], plain: Callable[..., Any], fake: Callable[..., Any]
) -> Callable[..., Any]:
    """A new operator, without a derivative of its own.

    schema: its name and types, in torch's notation. compiled: what it does on the CPU; plain: on any other device, and
    the oracle of the tests. fake: what comes out, by its shape alone, for compilers and captured graphs.
    """

    def chosen(*arguments: Any) -> Any:
        return (compiled if _compiled_is_chosen else plain)(*arguments)

    name = _LIBRARY.define(schema).partition("(")[0]
    _LIBRARY.impl(name, chosen, "CPU")
    _LIBRARY.impl(name, plain, "CompositeExplicitAutograd")
    torch.library.register_fake(f"rethinking::{name}", fake, lib=_LIBRARY)
    operator = getattr(torch.ops.rethinking, name).default
    _PLAIN[operator] = plain
    return operator


def plain_form(operator: Any) -> Callable[..., Any] | None:
    """What one of these operators does on other devices than the CPU; None for an operator of torch's own."""
    return _PLAIN.get(operator)


def use_compiled(compiled: bool) -> None:
    """Whether operators on the CPU are compiled loops, as they are from the start, or their plain torch forms."""
    global _compiled_is_chosen
    _compiled_is_chosen = compiled


def compiled_is_chosen() -> bool:
    """What `use_compiled` was told last."""
    return _compiled_is_chosen


@contextmanager
def before_compilation(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` once, as soon as a loop has to be compiled that no earlier process has left in numba's cache."""

    class Once(event.Listener):
        told = False

        def on_start(self, event: Any) -> None:
            if not self.told:
                self.told = True
                tell()

        def on_end(self, event: Any) -> None:
            pass

    with event.install_listener("numba:compile", Once()):
        yield


def use_threads(count: int) -> None:
    """How many threads torch uses. Compiled loops use one, and the products in them are too small for more."""
    torch.set_num_threads(count)
    threadpool_limits(1, user_api="blas")
