"""Numbers of the type that a constructor declares, so that 1 and 1.0 are one setting and one cell."""

from collections.abc import Callable, Mapping
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from rethinking.configuration.lookup import named
from rethinking.configuration.written import declared_types


def as_declared(config: Any) -> Any:
    """A Hydra target, with whole numbers made floats where its constructor or function declares floats.

    What cannot be imported stays as it is; making it will say why.
    """
    if isinstance(config, Mapping):
        types = types_of(config["_target_"]) if "_target_" in config else {}
        return {key: as_declared(_converted(value, types.get(key))) for key, value in config.items()}
    return [as_declared(value) for value in config] if isinstance(config, list) else config


def types_of(target: Any) -> Mapping[str, Any]:
    """The types that a Hydra target declares, by argument; of the project's own without importing them."""
    try:
        written = _written(str(target))
        return hints(named(target)) if written is None else written
    except Exception:  # Somebody's own module may fail in any way.
        return {}


_written = cache(declared_types)


@cache
def hints(called: Callable[..., Any]) -> Mapping[str, Any]:
    """The types that a class or function declares."""
    return get_type_hints(vars(called).get("__init__", called) if isinstance(called, type) else called)


def _converted(value: Any, declared: Any) -> Any:
    """value: as configured. declared: its type, None if there is none."""
    inner = get_args(declared)
    if get_origin(declared) in (Union, UnionType):
        # `float | None`; where whole numbers are welcome too they stay such.
        return value if int in inner else next((_converted(value, t) for t in inner if _takes_floats(t)), value)
    if declared is float and type(value) is int:
        return float(value)
    if isinstance(value, list) and inner and inner[0] is float:
        return [_converted(entry, float) for entry in value]
    return value


def _takes_floats(declared: Any) -> bool:
    return declared is float or float in get_args(declared)
