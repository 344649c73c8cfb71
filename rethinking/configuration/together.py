"""Puts the configuration of a cell together from files and values, as Hydra would; what takes more is left to Hydra."""

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, Node, OmegaConf


@cache
def parse_word(word: str) -> Override:
    """An override as Hydra reads it; the cells of a table have few different ones."""
    return OverridesParser.create().parse_override(word)


def put_together(base: DictConfig, overrides: Sequence[Override], folders: tuple[Path, ...]) -> DictConfig | None:
    """What Hydra would compose of `GROUP=FILE` and `KEY=VALUE`; None where that takes more than putting together.

    base: what a cell that chooses nothing would have. Valid until the next call: parts that have no values of their own
    are those of the files, as to copy them takes OmegaConf longer than all else.
    """
    if not all(map(is_plain, overrides)):
        return None
    parts = dict(_parts(base))
    chosen = [override for override in overrides if override.key_or_group in group_names(folders)]
    for override in chosen:
        file = group_file(override.key_or_group, str(override.value()), folders)
        if file is None:
            return None
        parts[override.key_or_group] = file
    values = [override for override in overrides if override not in chosen]
    for name in {override.key_or_group.split(".")[0] for override in values} & parts.keys():
        parts[name] = deepcopy(parts[name])
    config = OmegaConf.create({}, flags={"struct": True})
    for name, part in parts.items():
        # Past `config[name] = part`, which copies.
        part._set_parent(config)
        part._set_key(name)
        _parts(config)[name] = part
    for override in values:
        OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
    return config


def _parts(config: DictConfig) -> dict[Any, Node]:
    """The nodes themselves, by their keys."""
    content = config._content
    assert isinstance(content, dict)
    return content


def is_plain(override: Override) -> bool:
    """Whether it is `GROUP=FILE` or `KEY=VALUE` and no more."""
    special = override.is_add() or override.is_force_add() or override.is_delete() or override.is_sweep_override()
    return not special and override.package is None and not override.is_hydra_override()


def group_file(group: str, option: str, folders: tuple[Path, ...]) -> DictConfig | None:
    """A file of a group; None if there is none, or it says of itself where it belongs or what else it needs."""
    places = [folder / group / f"{option}.yaml" for folder in folders]
    return next((_plain_file(place) for place in places if place.is_file()), None)


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
