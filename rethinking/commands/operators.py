"""How a pooling operator is named on the command line."""

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
    return ["pooler=own", f"pooler.name={name.rpartition('.')[2]}", f"pooler.operator.path={name}"]
