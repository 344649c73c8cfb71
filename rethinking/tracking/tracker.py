"""A tracker of learning curves: one that tells nobody, and the base of those that tell another program."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from rethinking.configuration.lookup import named
from rethinking.errors import UserError


class Tracker:
    """Is told of every run as it trains, one run a seed.

    A tracker of one's own derives from this and is named in a file of `logger` as `_target_`, with the arguments of its
    constructor beside it. What it raises costs no run: it is said once, and the tracker is told no more.
    """

    packages: tuple[str, ...] = ()
    """What it imports that need not be installed."""
    extra: str = ""
    """The extra of this project that installs them."""

    def begin(self, run_id: str, cell: str, settings: Mapping[str, Any]) -> None:
        """A run trains from now on, or goes on.

        cell: what the runs of a cell have in common, as one reads it. settings: its configuration, flat.
        """

    def epoch(self, run_id: str, values: Mapping[str, float]) -> None:
        """An epoch has ended. values: a row of the run's history, `epoch` among them, from 1."""

    def end(self, run_id: str, scores: Mapping[str, float]) -> None:
        """A run is done. scores: of its best epoch; none if it failed or was interrupted."""


def kind_of(logger: Mapping[str, Any]) -> type[Tracker]:
    """What a file of `logger` names. Raises UserError if it is none, or if a package is not installed that it needs."""
    target = logger.get("_target_")
    try:
        kind = named(target)
    except Exception as error:  # Somebody's own module may fail in any way.
        raise UserError(f"logger._target_={target} cannot be found ({error}).") from error
    if not isinstance(kind, type) or not issubclass(kind, Tracker):
        raise UserError(f"logger._target_={target} is no logger; expected a class derived from {Tracker.__name__}.")
    missing = [package for package in kind.packages if find_spec(package) is None]
    if missing:
        how = f'pip install "rethinking[{kind.extra}]"' if kind.extra else f"pip install {' '.join(missing)}"
        raise UserError(f"{kind.__name__} needs {', '.join(missing)}, which is not installed: {how}")
    return kind


def tracker_of(logger: Mapping[str, Any]) -> Tracker:
    """The tracker that a file of `logger` describes. Raises UserError as `kind_of`, or if its arguments do not fit."""
    kind = kind_of(logger)
    try:
        return kind(**{key: value for key, value in logger.items() if key != "_target_"})
    except TypeError as error:
        raise UserError(f"logger: {error}.") from error


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as KEY.KEY → value."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
