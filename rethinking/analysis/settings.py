"""What tells configurations from each other, in words."""

from collections.abc import Sequence
from typing import Any

from rethinking.tracking.tracker import flat


def differing(configurations: Sequence[dict[str, Any]]) -> list[str]:
    """For each configuration the settings, `name=value`, in which it is not as all the others."""
    all_of = [flat(configuration) for configuration in configurations]
    texts = []
    for mine in all_of:
        names = [name for name, value in mine.items() if any(other.get(name) != value for other in all_of)]
        texts.append(", ".join(f"{name.rpartition('.')[2]}={mine[name]}" for name in names))
    return texts
