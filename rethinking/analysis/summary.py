"""The table that a sweep ends in."""

from collections.abc import Sequence

from rethinking.config import Settings


def print_summary(jobs: Sequence[Settings]) -> None:
    """Mean ± standard deviation of every cell of a sweep."""
