"""What is asked of all comparisons: `conf/compare.yaml`, with some of it changed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import yaml

from rethinking.analysis.inference.adjusting import Adjustment
from rethinking.errors import UserError
from rethinking.own_files import own_file


@dataclass(frozen=True)
class Question:
    """`conf/compare.yaml`.

    left_out: data sets that are compared only if they are named. reference: the local variant, or NO_POOLING; then the
    models `without_pooling` take its place. hosts: classes of networks whose cells are compared with twins of their own
    operator only. looks: numbers of seeds, in increasing order. seeds: with fewer a
    comparison is partial. fewest: with fewer it has no verdict.
    margins: by metric, in its own unit (0.01 is one point of accuracy), in place of those recorded with the runs.
    """

    level: float
    confidence: float
    power: float
    looks: Sequence[int]
    adjust: Adjustment
    seeds: int
    fewest: int
    left_out: Sequence[str]
    reference: str
    without_pooling: Sequence[str]
    hosts: Sequence[str]
    margins: Mapping[str, float]


NO_POOLING = "none"


def question(**changed: Any) -> Question:
    """What the configuration asks, with some of it changed. Raises UserError for what makes no sense."""
    asked = own_file("compare")
    made = Question(**{"margins": {}, **asked, **changed})
    _check(made)
    return made


def changes(words: Sequence[str]) -> dict[str, Any]:
    """What words such as `compare.level=0.01` change. Raises UserError for a key there is not."""
    known = [field.name for field in fields(Question) if field.name != "margins"]
    changed: dict[str, Any] = {}
    for word in words:
        name, _, value = word.removeprefix("compare.").partition("=")
        if name not in known or not value:
            raise UserError(f"{word} is not understood; expected compare.KEY=VALUE with one of {', '.join(known)}.")
        try:
            changed[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UserError(f"{word} is not understood; expected a value as in conf/compare.yaml.") from error
    return changed


def _check(asked: Question) -> None:
    def number(value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool)

    def whole(value: Any, least: int) -> bool:
        return type(value) is int and value >= least

    def words(value: Any) -> bool:
        return isinstance(value, (list, tuple)) and all(isinstance(word, str) for word in value)

    margins = ", ".join(f"{metric}={margin}" for metric, margin in asked.margins.items())
    looks = asked.looks
    rules = {
        f"margins: {margins}; expected numbers above 0": all(0 < m < math.inf for m in asked.margins.values()),
        f"level={asked.level}; expected a number above 0 and below 0.5": number(asked.level) and 0 < asked.level < 0.5,
        f"confidence={asked.confidence}; expected a number between 0.5 and 1": number(asked.confidence)
        and 0.5 < asked.confidence < 1,
        f"power={asked.power}; expected a number between 0.5 and 1": number(asked.power) and 0.5 <= asked.power < 1,
        f"adjust={asked.adjust}; expected bh or holm": asked.adjust in ("bh", "holm"),
        f"fewest={asked.fewest}; expected at least 2 seeds, as one says nothing of the spread": whole(asked.fewest, 2),
        f"seeds={asked.seeds}; expected a number of seeds": whole(asked.seeds, 1),
        f"looks={looks}; expected numbers of seeds in increasing order, such as [5,10,20]": isinstance(
            looks, (list, tuple)
        )
        and bool(looks)
        and all(whole(look, 2) for look in looks)
        and all(a < b for a, b in pairwise(looks)),
        f"reference={asked.reference}; expected the name of a variant": isinstance(asked.reference, str),
        "left_out, without_pooling and hosts; expected lists of names": all(
            map(words, (asked.left_out, asked.without_pooling, asked.hosts))
        ),
    }
    for text, holds in rules.items():
        if not holds:
            raise UserError(f"compare: {text}.")
