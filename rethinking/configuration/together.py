"""Puts the configuration of a cell together from files and values, as Hydra would; what takes more is left to Hydra."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from rethinking.configuration.plain import Plain, read_yaml
from rethinking.paths import CONF


@cache
def parse_word(word: str) -> Override:
    """An override as Hydra reads it; the cells of a table have few different ones."""
    return OverridesParser.create().parse_override(word)


def put_together(overrides: Sequence[Override], folders: tuple[Path, ...]) -> Plain | None:
    """What Hydra would compose of `GROUP=FILE` and `KEY=VALUE`; None where that takes more than putting together."""
    if not all(map(is_plain, overrides)):
        return None
    whole = dict(_base())
    chosen = [override for override in overrides if override.key_or_group in group_names(folders)]
    for override in chosen:
        file = group_file(override.key_or_group, str(override.value()), folders)
        if file is None:
            return None
        whole[override.key_or_group] = file
    for override in overrides:
        if override not in chosen and not _put(whole, override.key_or_group.split("."), override.value()):
            return None
    return Plain(whole)


@cache
def _base() -> dict[str, Any]:
    """What `config.yaml` says, with the files that it chooses itself."""
    whole: dict[str, Any] = read_yaml((CONF / "config.yaml").read_text(encoding="utf-8"))
    del whole["hydra"]
    for default in whole.pop("defaults"):
        if isinstance(default, dict):
            ((group, option),) = default.items()
            if option != "???" and not group.startswith("override "):
                whole[group] = group_file(group, option, (CONF,))
        elif default != "_self_":
            whole |= read_yaml((CONF / f"{default}.yaml").read_text(encoding="utf-8"))
    return whole


def _put(whole: dict[str, Any], path: list[str], value: Any) -> bool:
    """Replace one value by another; whether there is one to be replaced. Mappings are copied, as they are of files."""
    *above, last = path
    for key in above:
        if not isinstance(whole.get(key), Mapping):
            return False
        whole[key] = whole = dict(whole[key])
    if last not in whole or isinstance(whole[last], Mapping) or isinstance(value, Mapping):
        return False
    whole[last] = value
    return True


def is_plain(override: Override) -> bool:
    """Whether it is `GROUP=FILE` or `KEY=VALUE` and no more."""
    special = override.is_add() or override.is_force_add() or override.is_delete() or override.is_sweep_override()
    return not special and override.package is None and not override.is_hydra_override()


def group_file(group: str, option: str, folders: tuple[Path, ...]) -> dict[str, Any] | None:
    """A file of a group; None if there is none, or it says of itself where it belongs or what else it needs."""
    places = [folder / group / f"{option}.yaml" for folder in folders]
    return next((_plain_file(place) for place in places if place.is_file()), None)


@cache
def _plain_file(path: Path) -> dict[str, Any] | None:
    text = path.read_text(encoding="utf-8")
    if "@package" in text:
        return None
    with suppress(yaml.YAMLError):  # Hydra says what is wrong.
        content = read_yaml(text)
        return content if isinstance(content, dict) and "defaults" not in content else None
    return None


@cache
def group_names(folders: tuple[Path, ...]) -> frozenset[str]:
    """The groups there are; a suite is one for the commands only, and `hydra` is Hydra's."""
    found = {path.name for folder in folders for path in folder.iterdir() if any(path.glob("*.yaml"))}
    return frozenset(found - {"hydra", "suite"})
