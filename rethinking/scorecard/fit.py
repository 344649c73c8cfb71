"""Trains something on one graph until it gets no better, with random numbers that are named."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from statistics import median
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from rethinking.randomness import Name, generators_continue, generators_follow, generators_state, stream_key
from rethinking.scorecard.settings import FitSettings


@dataclass(frozen=True)
class Fit:
    """steps: how many were taken. seconds: the median time of one; NaN if there were none."""

    steps: int
    seconds: float


class Resumable(Protocol):
    """Where a fit is kept while it goes on, so that it can go on after a kill."""

    def state(self) -> Mapping[str, Any] | None:
        """What was noted last, by another process; None to begin."""

    def note(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """After each step. state: gives tensors, numbers and texts, for whoever keeps them."""


@dataclass
class Progress:
    """Of a fit. best: the least loss, and `weights` those that had it. patience: steps left. times: of each step."""

    best: float
    weights: dict[str, Tensor]
    patience: int
    times: list[float]


def fit(
    module: nn.Module,
    losses: Callable[[], tuple[Tensor, Tensor]],
    settings: FitSettings,
    kept: Resumable | None = None,
) -> Fit:
    """Train all parameters with Adam; then the module has the best weights and is in evaluation mode.

    losses: the main loss, which says what is best and when to stop, and the auxiliary ones, which are added for the
    gradient. A module that no gradient reaches is left as it is. kept: where it was, and is; what is random is then
    torch's and NumPy's own generators alone, see `seeded`.
    The released code keeps the weights after the step whose loss was the best; here it is those that had that loss.
    Raises ValueError if the loss is no finite number.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not parameters:
        module.eval()
        return Fit(0, float("nan"))
    optimiser = torch.optim.Adam(parameters, settings.learning_rate, eps=settings.epsilon, fused=True)
    at = Progress(float("inf"), _weights(module), settings.patience, [])
    if kept and (state := kept.state()):
        at = _restored(state, module, optimiser)
    module.train()
    while at.patience and (settings.most_steps is None or len(at.times) < settings.most_steps):
        began = time.perf_counter()
        main, auxiliary = losses()
        total = main + auxiliary
        if not torch.isfinite(total):
            raise ValueError(f"the loss is {float(total.detach())} at step {len(at.times) + 1}; expected a number")
        if not total.requires_grad:
            break
        value = float(main.detach())
        at.patience -= 1
        if value + settings.tolerance < at.best:
            at.best, at.weights, at.patience = value, _weights(module), settings.patience
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        at.times.append(time.perf_counter() - began)
        if kept:
            kept.note(partial(_state, at, module, optimiser))
    module.load_state_dict(at.weights)
    module.eval()
    return Fit(len(at.times), median(at.times) if at.times else float("nan"))


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def _state(at: Progress, module: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    whole = {"module": _weights(module), "optimiser": optimiser.state_dict(), "generators": generators_state()}
    return {**vars(at), **whole}


def _restored(state: Mapping[str, Any], module: nn.Module, optimiser: torch.optim.Optimizer) -> Progress:
    """Module, optimiser and generators as they were after that step."""
    module.load_state_dict(state["module"])
    optimiser.load_state_dict(state["optimiser"])
    generators_continue(state["generators"])
    return Progress(**{field.name: state[field.name] for field in fields(Progress)})


@contextmanager
def seeded(seed: int, *names: Name) -> Iterator[None]:
    """Within it torch's and NumPy's global generators begin with a named stream, as operators of elsewhere use them."""
    with generators_follow(stream_key(seed, *names) % 2**63):
        yield
