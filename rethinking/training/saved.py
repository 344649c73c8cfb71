"""Looks at a saved state, which may be damaged or of another training, before anything of it is taken over."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rethinking.errors import UserError

if TYPE_CHECKING:
    from rethinking.training.state import GroupState

# Parts of a state that look the same before the first epoch and after any other.
TENSORS = (
    *("parameters", "buffers", "moments", "learning_rate", "plateau_best", "plateau_waited"),
    *("best_epoch", "best_score", "best_parameters", "best_buffers"),
)


def seeds_of(saved: Any) -> list[int]:
    """The seeds of a saved state. Raises UserError if it has none."""
    seeds = saved.get("seeds") if isinstance(saved, Mapping) else None
    if not isinstance(seeds, list) or not all(type(seed) is int for seed in seeds) or len(set(seeds)) < len(seeds):
        raise _refusal("it has no list of different seeds")
    return seeds


def check_saved(saved: Any, fresh: "GroupState", predicted: Mapping[str, Sequence[int]]) -> None:
    """Raises UserError, with the reason, if something is no state of the same replicas of the same network.

    fresh: the state of these replicas before the first epoch. predicted: by part of the split, how many graphs and
    outputs its predictions have.
    """
    seeds = seeds_of(saved)
    names = [entry.name for entry in fields(fresh)]
    if set(saved) != set(names):
        raise _refusal(f"expected a state with {', '.join(names)}, got {', '.join(map(str, saved))}")
    if seeds != fresh.seeds:
        raise _refusal(f"expected a state of the seeds {fresh.seeds}, got {seeds}")
    for name in TENSORS:
        ours, theirs = _form(getattr(fresh, name)), _form(saved[name])
        if ours != theirs:
            raise _refusal(f"it is of another network: {name} is {theirs}, expected {ours}")
    epoch = saved["epoch"]
    if type(epoch) is not int or epoch < 0:
        raise _refusal(f"epoch is {epoch!r}, expected a whole number from 0 on")
    _check_numbers(saved, epoch)
    for name, kind in (("histories", list), ("seconds", float), ("errors", (str, type(None)))):
        each = saved[name]
        if not isinstance(each, list) or len(each) != len(seeds) or not all(isinstance(entry, kind) for entry in each):
            raise _refusal(f"{name} has no proper entry for each of {len(seeds)} seeds")
    if not all(math.isfinite(seconds) and seconds >= 0 for seconds in saved["seconds"]):
        raise _refusal("seconds are not numbers from 0 on")
    for history in saved["histories"]:
        _check_history(history, epoch)
    expected = {part: [len(seeds), *shape] for part, shape in predicted.items()} if epoch else {}
    predictions = saved["best_predictions"]
    if _form(predictions) != {part: [*shape, str(fresh.parameters.dtype)] for part, shape in expected.items()}:
        raise _refusal(f"best_predictions is {_form(predictions)}, expected {expected}")


def _check_numbers(saved: Mapping[str, Any], epoch: int) -> None:
    """What no training leads to."""
    rates, best = saved["learning_rate"], saved["best_epoch"]
    if not (torch.isfinite(rates).all() and (rates >= 0).all()):
        raise _refusal(f"learning_rate is {rates.tolist()}, expected numbers from 0 on")
    if not ((best >= 0).all() and (best <= epoch).all()):
        raise _refusal(f"best_epoch is {best.tolist()}, expected epochs up to {epoch}")
    if (saved["plateau_waited"] < 0).any() or (saved["plateau_waited"] > epoch).any():
        raise _refusal(f"plateau_waited is {saved['plateau_waited'].tolist()}, expected 0 to {epoch} epochs")
    for phase, moments in saved["moments"].items():
        if not (moments["steps"] >= 0).all():
            raise _refusal(f"the phase {phase} has taken {moments['steps'].tolist()} steps")


def _check_history(history: list[Any], epoch: int) -> None:
    rows = all(
        isinstance(row, dict) and all(isinstance(value, (int, float)) for value in row.values()) for row in history
    )
    if not rows or [row.get("epoch") for row in history] != list(range(1, epoch + 1)):
        raise _refusal(f"a history has not a row for each of {epoch} epochs")
    if any(row.keys() != history[0].keys() for row in history):
        raise _refusal("the rows of a history have different columns")


def _form(value: Any) -> Any:
    """Shapes and dtypes, by name."""
    if isinstance(value, Mapping):
        return {name: _form(part) for name, part in value.items()}
    return [*value.shape, str(value.dtype)] if isinstance(value, Tensor) else type(value).__name__


def _refusal(reason: str) -> UserError:
    return UserError(f"The saved state cannot be gone on from: {reason}. Train from the start.")
