"""What tells configurations from each other, in words."""

from collections.abc import Sequence
from typing import Any


def differing(configurations: Sequence[dict[str, Any]]) -> list[str]:
    """For each configuration the settings, `name=value`, in which it is not as all the others."""
    flat = [_flat(configuration) for configuration in configurations]
    texts = []
    for mine in flat:
        names = [name for name, value in mine.items() if any(other.get(name) != value for other in flat)]
        texts.append(", ".join(f"{name.rpartition('.')[2]}={mine[name]}" for name in names))
    return texts


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, entry in value.items():
        flat |= _flat(entry, f"{prefix}{key}.") if isinstance(entry, dict) else {f"{prefix}{key}": entry}
    return flat
