"""How a pooling operator is named on the command line."""

import difflib
import hashlib
import importlib
import re
import sys
from pathlib import Path

from rethinking.configuration.composition import options
from rethinking.errors import UserError, not_ending


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
        meant = _similar(name)
        hint = f"did you mean {' or '.join(meant)}? Expected" if meant else "expected"
        raise UserError(f"there is no such operator; {hint} one of {', '.join(operator_names())}, or an import path.")
    module, _, cls = name.rpartition(".")
    # In quotes, as NaN is a number to Hydra, and so are a few digits of a checksum.
    words = ["pooler=own", f"pooler.name='{cls}'", f"pooler.operator.path={name}"]
    text = _text(module, cls)
    return words if text is None else [*words, f"pooler.operator.text='{hashlib.sha256(text).hexdigest()[:12]}'"]


def _similar(name: str) -> list[str]:
    """The operators that may have been meant, of any library: their own names hold this one's, or are close to it."""
    wanted = _own_name(name)
    own_names = {_own_name(known) for known in operator_names()}
    close = difflib.get_close_matches(wanted, own_names, n=len(own_names), cutoff=0.75)
    return [known for known in operator_names() if wanted and (wanted in _own_name(known) or _own_name(known) in close)]


def _own_name(name: str) -> str:
    """Without its library, in small letters, and without the word that all of them may have."""
    return re.sub("[^a-z0-9]|pool(ing)?$", "", name.rpartition("/")[2].lower())


def _text(module: str, cls: str) -> bytes | None:
    """What stands in the module of a class, which a package may have from one of its modules.

    None if that cannot be had, and making the operator will say why.
    """
    try:
        with not_ending():
            found = getattr(importlib.import_module(module), cls)
            return Path(str(sys.modules[found.__module__].__file__)).read_bytes()
    except Exception:  # Somebody's own module may fail in any way.
        return None
