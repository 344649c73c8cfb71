"""Trains something on one graph until it gets no better, with random numbers that are named."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from rethinking.randomness import Name, generators_follow, stream_key
from rethinking.scorecard.settings import FitSettings


@dataclass(frozen=True)
class Fit:
    """steps: how many were taken. seconds: the median time of one; NaN if there were none."""

    steps: int
    seconds: float


def fit(module: nn.Module, losses: Callable[[], tuple[Tensor, Tensor]], settings: FitSettings) -> Fit:
    """Train all parameters with Adam; then the module has the best weights and is in evaluation mode.

    losses: the main loss, which says what is best and when to stop, and the auxiliary ones, which are added for the
    gradient. A module that no gradient reaches is left as it is.
    The released code keeps the weights after the step whose loss was the best; here it is those that had that loss.
    Raises ValueError if the loss is no finite number.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    times: list[float] = []
    best, weights, patience = float("inf"), _weights(module), settings.patience
    optimiser = (
        torch.optim.Adam(parameters, settings.learning_rate, eps=settings.epsilon, fused=True) if parameters else None
    )
    module.train()
    while optimiser and patience and (settings.most_steps is None or len(times) < settings.most_steps):
        began = time.perf_counter()
        main, auxiliary = losses()
        total = main + auxiliary
        if not torch.isfinite(total):
            raise ValueError(f"the loss is {float(total.detach())} at step {len(times) + 1}; expected a number")
        if not total.requires_grad:
            break
        value = float(main.detach())
        patience -= 1
        if value + settings.tolerance < best:
            best, weights, patience = value, _weights(module), settings.patience
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        times.append(time.perf_counter() - began)
    module.load_state_dict(weights)
    module.eval()
    return Fit(len(times), median(times) if times else float("nan"))


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@contextmanager
def seeded(seed: int, *names: Name) -> Iterator[None]:
    """Within it torch's and NumPy's global generators begin with a named stream, as operators of elsewhere use them."""
    with generators_follow(stream_key(seed, *names) % 2**63):
        yield
