"""The learning rate falls, and a score counts as better, in the metric's own direction."""

import math

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau

from rethinking.training.schedule import is_better, next_rate, worst
from rethinking.training.settings import TrainerConfig

CONFIG = TrainerConfig(8, 0.1, 1e-3, 0.5, 2, 50, 100, None)
EPOCHS = 40
CURVES = {
    "constant": [0.5] * EPOCHS,
    "slowly worse": [0.5 * (1 + 1e-5 * epoch) for epoch in range(EPOCHS)],
    "slowly better, within the threshold": [0.5 * (1 - 1e-6 * epoch) for epoch in range(EPOCHS)],
    "better": [0.5 * 0.99**epoch for epoch in range(EPOCHS)],
    "up and down": [0.5 + 0.3 * math.sin(epoch) for epoch in range(EPOCHS)],
    "not a number": [0.5, 0.4] + [math.nan] * (EPOCHS - 2),
    "nothing": [0.0] * EPOCHS,
}


def rates(scores: torch.Tensor, higher_is_better: bool) -> torch.Tensor:
    """After each epoch, [epochs, R]. scores: [epochs, R]."""
    rate = torch.full_like(scores[0], CONFIG.learning_rate)
    best, waited = torch.full_like(rate, worst(higher_is_better)), torch.zeros(len(rate), dtype=torch.long)
    seen = []
    for score in scores:
        rate, best, waited = next_rate(rate, best, waited, score, higher_is_better, CONFIG)
        seen.append(rate)
    return torch.stack(seen)


@pytest.mark.parametrize(("higher_is_better", "mode"), [(True, "max"), (False, "min")])
def test_equals_torchs_plateau(higher_is_better: bool, mode: str) -> None:
    """All curves at once, a replica each."""
    ours = rates(torch.tensor(list(CURVES.values()), dtype=torch.double).T, higher_is_better)
    for r, curve in enumerate(CURVES.values()):
        optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=CONFIG.learning_rate)
        schedule = ReduceLROnPlateau(optimizer, mode, 0.5, 2, min_lr=1e-3)
        for epoch, score in enumerate(curve):
            schedule.step(score)
            assert float(ours[epoch, r]) == optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize("curve", ["constant", "slowly worse", "slowly better, within the threshold"])
def test_an_error_that_does_not_fall_lets_the_rate_decay(curve: str) -> None:
    """As −error with a relative threshold it would count as improving, for ever."""
    (falling,) = rates(torch.tensor([CURVES[curve]], dtype=torch.double).T, higher_is_better=False).T.tolist()
    assert falling[:4] == [0.1, 0.1, 0.1, 0.05]
    assert falling[-1] == CONFIG.min_learning_rate
    (steady,) = rates(torch.tensor([CURVES["better"]], dtype=torch.double).T, higher_is_better=False).T.tolist()
    assert set(steady) == {0.1}


def test_better_is_strict_and_has_a_direction() -> None:
    score, best = torch.tensor([1.0, 2.0, 3.0, math.nan]), torch.full((4,), 2.0)
    assert is_better(score, best, True).tolist() == [False, False, True, False]
    assert is_better(score, best, False).tolist() == [True, False, False, False]
    for higher_is_better in (True, False):
        assert is_better(score, torch.full((4,), worst(higher_is_better)), higher_is_better).tolist()[:3] == [True] * 3
