"""When a score is better, in the metric's own direction, and when a replica's learning rate falls. All tensors [R]."""

import math

import torch
from torch import Tensor

from rethinking.training.settings import TrainerConfig

# Those of torch's ReduceLROnPlateau: how much better a score must be, relative to the best one, and by how much a rate
# must fall.
THRESHOLD, SMALLEST_FALL = 1e-4, 1e-8


def worst(higher_is_better: bool) -> float:
    """The score that every other is better than."""
    return -math.inf if higher_is_better else math.inf


def is_better(score: Tensor, best: Tensor, higher_is_better: bool) -> Tensor:
    """Whether scores are strictly better; one that is not a number never is."""
    return score > best if higher_is_better else score < best


def next_rate(
    rate: Tensor, best: Tensor, waited: Tensor, score: Tensor, higher_is_better: bool, config: TrainerConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """The step of a ReduceLROnPlateau after an epoch.

    best: the best score so far, `worst` before the first; waited: epochs since then, or since the rate fell.
    Returns rate, best and waited for the next epoch.
    """
    better = is_better(score, best * (1 + THRESHOLD if higher_is_better else 1 - THRESHOLD), higher_is_better)
    best = torch.where(better, score, best)
    waited = torch.where(better, 0, waited + 1)
    falls = waited > config.decay_patience
    lower = (rate * config.decay_factor).clamp(min=config.min_learning_rate)
    rate = torch.where(falls & (rate - lower > SMALLEST_FALL), lower, rate)
    return rate, best, torch.where(falls, 0, waited)
