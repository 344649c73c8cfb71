"""Whether a Select clusters nodes that are near each other: stated by its YAML or its class, never guessed."""

from collections.abc import Mapping
from typing import Any

from rethinking.configuration.lookup import named
from rethinking.configuration.written import attribute
from rethinking.errors import UserError


def locality(stated: Any, select: Mapping[str, Any]) -> bool | None:
    """What the file of the variant states, else the attribute `is_local` of the Select's class, else None: unknown.

    stated: `is_local` of the file, null if it says nothing. select: a Hydra target. Raises UserError for a statement
    that is neither true, false nor null.
    """
    if stated is not None and not isinstance(stated, bool):
        raise UserError(f"pooling.is_local={stated} is not understood; expected true, false or null.")
    if stated is not None or "_target_" not in select:
        return stated
    try:
        said = _said(select["_target_"])
    except Exception:  # A class of somebody's own may fail in any way; making the Select will say how.
        return None
    return said if isinstance(said, bool) else None


def _said(target: Any) -> Any:
    """What a class says; of the project's own without importing it."""
    try:
        return attribute(target, "is_local")
    except LookupError:
        return getattr(named(target), "is_local", None)
