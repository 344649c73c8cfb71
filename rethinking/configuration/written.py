"""What the project's own classes and functions say of themselves, read from the text of their modules.

To compose a cell takes the types of constructors and whether a Select is local. Importing the module for that takes
torch, two seconds in which a table is made. Somebody else's classes are not read: there are more ways to write one than
are understood here. A test holds what is read against what is imported, for all that `conf/` names.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Union

from rethinking import paths
from rethinking.configuration.identity import is_own

Definition = ast.ClassDef | ast.FunctionDef
NUMBERS = {"float": float, "int": int, "None": None}


def declared_types(target: Any) -> Mapping[str, Any] | None:
    """The types of what a class or function takes, by name; `object` for all that is no number. None if unknown.

    As `typing.get_type_hints` has them: those of its own constructor, else of its class and all that it inherits.
    """
    line = _line(str(target))
    if not line:
        return None
    own = next((part for part in line[0].body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None)
    called = line[0] if isinstance(line[0], ast.FunctionDef) else own
    if called is not None:
        taken = [*called.args.posonlyargs, *called.args.args, *called.args.kwonlyargs]
        return {argument.arg: _type(argument.annotation) for argument in taken if argument.annotation}
    return {name: _type(part.annotation) for name, part in _fields(line) if isinstance(part, ast.AnnAssign)}


def attribute(target: Any, name: str) -> Any:
    """A plain value that a class has, or inherits; None if it has none. Raises LookupError if it is unknown."""
    line = _line(str(target))
    if not line:
        raise LookupError(f"there is no text of {target}")
    values = {key: part.value for key, part in _fields(line)}
    value = values.get(name)
    return value.value if isinstance(value, ast.Constant) else None


def _fields(line: list[Definition]) -> Iterator[tuple[str, ast.Assign | ast.AnnAssign]]:
    """What classes assign or declare, in the order in which one replaces the other."""
    for definition in reversed(line):
        for part in definition.body:
            if isinstance(part, (ast.Assign, ast.AnnAssign)):
                places = part.targets if isinstance(part, ast.Assign) else [part.target]
                yield from ((place.id, part) for place in places if isinstance(place, ast.Name))


def _line(target: str) -> list[Definition]:
    """A definition, and after it the project's classes that it inherits from; empty if there is none in the text."""
    module, _, name = target.rpartition(".")
    if not is_own(target) or not (body := _module(module)):
        return []
    found = next((part for part in body if isinstance(part, Definition) and part.name == name), None)
    if found is None:
        return []
    inherited = [base.id for base in getattr(found, "bases", ()) if isinstance(base, ast.Name)]
    return [found, *(part for base in inherited for part in _line(_meaning(base, module, body)))]


def _meaning(name: str, module: str, body: tuple[ast.stmt, ...]) -> str:
    """What a name means in a module: what it has imported by it, else its own."""
    imports = (part for part in body if isinstance(part, ast.ImportFrom))
    known = {alias.asname or alias.name: f"{part.module}.{alias.name}" for part in imports for alias in part.names}
    return known.get(name, f"{module}.{name}")


@cache
def _module(name: str) -> tuple[ast.stmt, ...]:
    """What stands in a module of the project; nothing if there is none."""
    path = paths.PACKAGE.joinpath(*name.split(".")[1:]).with_suffix(".py")
    return tuple(ast.parse(path.read_text(encoding="utf-8")).body) if path.is_file() else ()


def _type(written: ast.expr | None) -> Any:
    """Of `float`, `float | None`, `list[float]` and the like the type; `object` for all that has no numbers."""
    match written:
        case ast.Name(id=name) if name in NUMBERS:
            return NUMBERS[name]
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str(text)):
            return _type(ast.parse(text, mode="eval").body)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[_type(left), _type(right)]  # noqa: UP007
        case ast.Subscript(value=ast.Name(id="list" | "Sequence"), slice=inner):
            return list[_type(inner)]  # type: ignore[misc]
    return object
