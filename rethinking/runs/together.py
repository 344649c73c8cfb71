"""The seeds that trained together, as a record has them: `0-9,12`."""

import re
from collections.abc import Iterable
from typing import Any

from rethinking.configuration.settings import LARGEST_SEED, MOST_SEEDS


def as_text(seeds: Iterable[int]) -> str:
    """Seeds in increasing order, neighbours as a range."""
    ranges: list[list[int]] = []
    for seed in sorted(seeds):
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in ranges)


def from_text(text: Any) -> list[int] | None:
    """The seeds that `as_text` has written; None for what is no such text, as records of earlier versions have none.

    text: of a table of single seeds its reader has made numbers.
    """
    if isinstance(text, (int, float)):
        text = f"{text:.0f}"
    if not isinstance(text, str) or not re.fullmatch(r"\d{1,10}(-\d{1,10})?(,\d{1,10}(-\d{1,10})?)*", text, re.ASCII):
        return None
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        more = range(int(first), int(last or first) + 1)
        if len(seeds) + len(more) > MOST_SEEDS or int(last or first) > LARGEST_SEED:
            return None
        seeds += more
    return seeds
