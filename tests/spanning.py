"""Of many like cases, those that are tried by default: together they have every value that any of them has."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import pytest


def spanning(cases: Iterable[Sequence[Hashable]]) -> list[Any]:
    """Parameters of a test, in their order; those that `spanning_cases` leaves out are slow."""
    cases = list(cases)
    default = spanning_cases(cases)
    return [pytest.param(*case, marks=[] if case in default else pytest.mark.slow) for case in cases]


def spanning_cases(cases: Iterable[Sequence[Hashable]]) -> list[Sequence[Hashable]]:
    """As few of the cases as a greedy choice takes to have each value in its place (a family, a variant, …) once.

    Of cases that add equally much the first is taken.
    """
    left = list(cases)
    chosen: list[Sequence[Hashable]] = []
    seen: set[tuple[int, Hashable]] = set()
    while left:
        best = max(left, key=lambda case: len(set(enumerate(case)) - seen))
        if set(enumerate(best)) <= seen:
            break
        chosen.append(best)
        seen |= set(enumerate(best))
        left.remove(best)
    return chosen
