"""How a pooling operator is named on the command line."""

import hashlib
import importlib.util
from pathlib import Path

from rethinking.configuration.composition import options
from rethinking.errors import UserError


def operator_names() -> list[str]:
    """The operators that `conf/pooler` has a file of."""
    return [name for name in options("pooler") if name not in ("none", "own")]


def chosen(name: str) -> list[str]:
    """What chooses an operator: a file of `conf/pooler`, or the file of one's own with an import path.

    Raises UserError for a name that is neither.
    """
    if name in options("pooler"):
        return [f"pooler={name}"]
    if "." not in name:
        raise UserError(f"there is no such operator; expected one of {', '.join(operator_names())}, or an import path.")
    module, _, cls = name.rpartition(".")
    words = ["pooler=own", f"pooler.name={cls}", f"pooler.operator.path={name}"]
    text = _text(module)
    return words if text is None else [*words, f"pooler.operator.text={hashlib.sha256(text).hexdigest()[:12]}"]


def _text(module: str) -> bytes | None:
    """What stands in a module; None if that cannot be had, and making the operator will say why."""
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    path = Path(found.origin) if found is not None and found.origin else None
    return path.read_bytes() if path is not None and path.is_file() else None
