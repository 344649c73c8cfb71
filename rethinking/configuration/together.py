"""Puts the configuration of a cell together from files and values, as Hydra would; what takes more is left to Hydra."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf


@cache
def parse_word(word: str) -> Override:
    """An override as Hydra reads it; the cells of a table have few different ones."""
    return OverridesParser.create().parse_override(word)


def put_together(
    base: Mapping[str, Any], overrides: Sequence[Override], folders: tuple[Path, ...]
) -> dict[str, Any] | None:
    """What Hydra would compose of `GROUP=FILE` and `KEY=VALUE`; None where that takes more than putting together.

    base: what a cell that chooses nothing would have. Plain data, as the result, and unresolved: to copy a whole
    configuration of OmegaConf for each cell takes longer than all else.
    """
    config = dict(base)
    groups = [override for override in overrides if override.key_or_group in group_names(folders)]
    for override in groups:
        file = _data(_place(override.key_or_group, str(override.value()), folders))
        if not is_plain(override) or file is None:
            return None
        config[override.key_or_group] = file
    for override in overrides:
        if override not in groups:
            value = override.value()
            if not is_plain(override) or isinstance(value, dict):
                return None
            try:
                config = _changed(config, override.key_or_group.split("."), value)
            except KeyError:  # Hydra will say so.
                return None
    return config


def _changed(config: Any, keys: Sequence[str], value: Any) -> dict[str, Any]:
    """The same with a new value, a copy as far as it changes. Raises KeyError if there is no such key."""
    first, *others = keys
    if not isinstance(config, dict) or first not in config:
        raise KeyError(first)
    return {**config, first: _changed(config[first], others, value) if others else value}


def is_plain(override: Override) -> bool:
    """Whether it is `GROUP=FILE` or `KEY=VALUE` and no more."""
    special = override.is_add() or override.is_force_add() or override.is_delete() or override.is_sweep_override()
    return not special and override.package is None and not override.is_hydra_override()


def group_file(group: str, option: str, folders: tuple[Path, ...]) -> DictConfig | None:
    """A file of a group; None if there is none, or it says of itself where it belongs or what else it needs."""
    place = _place(group, option, folders)
    return _plain_file(place) if place else None


def _place(group: str, option: str, folders: tuple[Path, ...]) -> Path | None:
    places = [folder / group / f"{option}.yaml" for folder in folders]
    return next((place for place in places if place.is_file()), None)


@cache
def _data(path: Path | None) -> dict[str, Any] | None:
    """What stands in a file that is whole by itself."""
    config = _plain_file(path) if path else None
    return None if config is None else unresolved(config)


def unresolved(config: DictConfig) -> dict[str, Any]:
    """The same as plain data, references in it as texts."""
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=False))


@cache
def _plain_file(path: Path) -> DictConfig | None:
    if "@package" in path.read_text():
        return None
    config = OmegaConf.load(path)
    return config if isinstance(config, DictConfig) and "defaults" not in config else None


@cache
def group_names(folders: tuple[Path, ...]) -> frozenset[str]:
    """The groups there are; a suite is one for the commands only, and `hydra` is Hydra's."""
    found = {path.name for folder in folders for path in folder.iterdir() if any(path.glob("*.yaml"))}
    return frozenset(found - {"hydra", "suite"})
