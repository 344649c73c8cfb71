"""A run that was trained again, beside what is stored of it: equal, within tolerance, or different, and by how much."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rethinking.runs.predictions import compact

EQUAL, WITHIN, DIFFERS = "equal", "within tolerance", "differs"
# Of a run's record, what must be alike for its numbers to be alike to the last bit, beside the seeds in its group.
PLATFORM = (
    *("device", "device_name", "processor", "threads", "fast", "evaluation_batch_size", "git_commit", "git_dirty"),
    *(f"{name}_version" for name in ("rethinking", "python", "torch", "numpy", "numba", "scikit-learn")),
)
LOSSES = ("train_loss", "val_loss")


@dataclass(frozen=True)
class Trained:
    """What there is of a run. score: on the test part. origin: where it came from, as `runs/provenance.py` has it."""

    score: float
    history: pd.DataFrame
    predictions: pd.DataFrame
    origin: Mapping[str, Any]


@dataclass(frozen=True)
class Tolerance:
    """What may differ, see `conf/verify.yaml`. first_epoch: of the losses. score: in the metric's own unit."""

    first_epoch: float
    score: float


@dataclass(frozen=True)
class Difference:
    """How a run and the same run trained again differ.

    first: the first epoch of which anything differs, 0 if none. start: by how much of themselves the losses of the
    first epoch do, at most. reason: of a verdict that is `DIFFERS`.
    """

    stored: float
    again: float
    first: int
    start: float
    verdict: str
    reason: str = ""


def tolerance(scores: pd.Series, margin: float, first_epoch: float, score: float, fewest: int) -> Tolerance:
    """Of a cell. scores: on the test part, a seed each. margin: of its task. The rest: see `conf/verify.yaml`."""
    spread = float(scores.std()) if len(scores) >= fewest else 0.0
    return Tolerance(first_epoch, max(margin, score * spread))


def difference(stored: Trained, again: Trained, allowed: Tolerance, same: bool) -> Difference:
    """The verdict. same: whether it was trained on the same platform in the same group, and so has to be equal."""
    first, start = _first(stored.history, again.history), _start(stored.history, again.history)
    found = Difference(stored.score, again.score, first, start, EQUAL)
    score = abs(stored.score - again.score)
    if not first and _same(stored.score, again.score) and _same_predictions(stored.predictions, again.predictions):
        return found
    if not start <= allowed.first_epoch:
        reason = f"the losses of the first epoch differ by {start:.1g} of themselves, more than {allowed.first_epoch:g}"
    elif not score <= allowed.score and not _same(stored.score, again.score):
        reason = f"the scores differ by more than {allowed.score:.3g}"
    elif same:
        reason = "on the same platform and with the same seeds together it has to be equal"
    else:
        return Difference(stored.score, again.score, first, start, WITHIN)
    return Difference(stored.score, again.score, first, start, DIFFERS, reason)


def platforms_differ(stored: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    """What is not alike of two origins, or not known of one; uncommitted changes are not known."""
    unlike = [name for name in PLATFORM if _text(stored.get(name)) != _text(again.get(name))]
    # Records of earlier versions do not say which processor it was.
    unknown = [] if _text(stored.get("processor")) or "processor" in unlike else ["processor"]
    # One that went on elsewhere was trained on two platforms.
    resumed = ["resumed_with_other"] if _text(stored.get("resumed_with_other")) else []
    changed = [] if _text(stored.get("git_dirty")) != "True" or "git_dirty" in unlike else ["git_dirty"]
    return [*unlike, *unknown, *changed, *resumed]


def _text(value: Any) -> str:
    """A value of a record, alike whether it was read from JSON or from a table."""
    if value is None or value != value:
        return ""
    if isinstance(value, (float, np.floating)) and value == int(value):
        return str(int(value))
    return str(value)


def _first(stored: pd.DataFrame, again: pd.DataFrame) -> int:
    """The first epoch of two learning curves of which anything differs; 0 if none does."""
    if lacking := {str(name) for name in stored} - {str(name) for name in again}:
        raise ValueError(f"its learning curve has the column {min(lacking)}, which a run trained here has not")
    both = min(len(stored), len(again))
    numbers = [frame[list(stored)].to_numpy(dtype=float)[:both] for frame in (stored, again)]
    unlike = ((numbers[0] != numbers[1]) & ~(np.isnan(numbers[0]) & np.isnan(numbers[1]))).any(axis=1)
    if unlike.any():
        return int(np.argmax(unlike)) + 1
    return 0 if len(stored) == len(again) else both + 1


def _start(stored: pd.DataFrame, again: pd.DataFrame) -> float:
    """By how much of themselves the losses of the first epoch differ, at most."""
    names = [name for name in LOSSES if name in stored]
    before, after = (frame[names].to_numpy(dtype=float)[0] for frame in (stored, again))
    unlike = before != after
    return float(np.max(np.abs(before - after)[unlike] / np.abs(before)[unlike], initial=0.0))


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _same_predictions(stored: pd.DataFrame, again: pd.DataFrame) -> bool:
    """Whether they are alike in the precision in which the first ones are kept."""
    key = ["part", "graph"]
    one, other = (frame.sort_values(key, ignore_index=True) for frame in (stored, again))
    if len(one) != len(other) or not set(one) <= set(other):
        return False
    kept = other if "log_probability" in one and one["log_probability"].dtype != np.float16 else compact(other)
    return all(
        np.array_equal(one[name].to_numpy(), kept[name].to_numpy(), equal_nan=one[name].dtype.kind == "f")
        for name in map(str, one)
    )
