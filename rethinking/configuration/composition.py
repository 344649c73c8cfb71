"""Composes configurations by Hydra's rules outside of a Hydra job: whole sweeps, and single cells."""

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from tabulate import tabulate

from rethinking import paths
from rethinking.configuration.cell import Cell
from rethinking.configuration.check import check
from rethinking.configuration.settings import KEYS, ImpossiblePairError, Settings, register_resolvers, settings
from rethinking.data.load import DatasetConfig
from rethinking.errors import UserError

VERSION_BASE = "1.3"
# The variant that is the family's own Select.
LEARNED = "learned"


def compose_job(overrides: Sequence[str], config_dir: str | None = None) -> Settings:
    """The settings of one job, from overrides as one types them (`["model=graclus", …]`).

    config_dir: a folder with configuration files of one's own. Raises UserError for anything that cannot be composed.
    """
    added = [override for override in overrides if override.startswith("+") and not override.startswith("+hydra")]
    if added:
        raise UserError(f"Unknown key {added[0].lstrip('+').split('=')[0]}; `--cfg job` shows the keys there are.")
    with _hydra():
        config = compose("config", overrides=[*overrides, *_search_path(config_dir)])
        try:
            job = settings(config)
        except ImpossiblePairError as error:
            possible = ", ".join(_possible_variants(config.model))
            if not possible:
                raise UserError(f"{error} No file of pooling has the kind '{config.model.select_kind}'.") from error
            raise UserError(f"{error} Possible with this model: pooling={possible}.") from error
    check(job.cell)
    return job


def compose_cell(overrides: Sequence[str]) -> Cell:
    """The cell of plain overrides (`GROUP=FILE` and `KEY=VALUE`), as `compose_job` has it but many times faster.

    For tables, which have many cells: Hydra would read all files again for each of them.
    """
    return _compose_cell(tuple(overrides))


@cache
def _compose_cell(overrides: tuple[str, ...]) -> Cell:
    chosen = dict(override.split("=", 1) for override in overrides)
    config = _base().copy()
    OmegaConf.set_struct(config, False)
    for key, value in chosen.items():
        if "." not in key:
            config[key] = _file(key, value)
    for key, value in chosen.items():
        if "." in key:
            OmegaConf.update(config, key, yaml.safe_load(value))
    with _hydra():
        return settings(config).cell


@cache
def _base() -> DictConfig:
    """What is not chosen by a cell's overrides."""
    with _hydra():
        choice = [f"{group}={options(group)[0]}" for group in ("model", "pooling", "dataset")]
        return compose("config", overrides=choice)


@cache
def _file(group: str, option: str) -> DictConfig | ListConfig:
    return OmegaConf.load(paths.CONF / group / f"{option}.yaml")


def expand_sweep(overrides: Sequence[str], config_dir: str | None = None) -> list[list[str]]:
    """The overrides of every job of a multirun, by Hydra's basic sweeper."""
    with _hydra():
        loader = GlobalHydra.instance().config_loader()
        if config_dir:
            loader.get_search_path().append("command-line", f"file://{Path(config_dir).resolve()}")
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
        (jobs,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    return [list(job) for job in jobs]


def options(group: str) -> list[str]:
    """The files of a group of `conf/`."""
    return sorted(path.stem for path in (paths.CONF / group).glob("*.yaml"))


def _search_path(config_dir: str | None) -> list[str]:
    if not config_dir:
        return []
    quoted = str(Path(config_dir).resolve()).replace("\\", "\\\\").replace("'", "\\'")
    return [f"hydra.searchpath=['file://{quoted}']"]


def possible_variants(model: str) -> list[str]:
    """The variants of `conf/pooling` that a model of `conf/model` can be combined with."""
    return _possible_variants(_file("model", model))


def _possible_variants(model: DictConfig | ListConfig) -> list[str]:
    variants = options("pooling")
    pairs = {name: OmegaConf.create({"model": model, "pooling": _file("pooling", name)}) for name in variants}
    return [name for name, pair in pairs.items() if model.select_kind in pair.pooling.select]


def pairs_table(form: str) -> str:
    """Which models and variants can be combined: a row a variant, a column a model with a choice, the others below.

    form: a format of `tabulate`.
    """
    possible = {model: possible_variants(model) for model in options("model")}
    choosing = [model for model, names in possible.items() if len(names) > 1]
    names = {name for model in choosing for name in possible[model]}
    # The family's own Select first.
    variants = sorted(names, key=lambda name: (name != LEARNED, name))
    rows = [[name, *("✓" if name in possible[model] else "" for model in choosing)] for name in variants]
    table = tabulate(rows, headers=["", *choosing], tablefmt=form, colalign=("left", *["center"] * len(choosing)))
    others = [f"{model} ({', '.join(only)})" for model, only in possible.items() if model not in choosing]
    return f"{table}\n\nOne variant only: {', '.join(others)}."


def dataset_config(name: str) -> DatasetConfig:
    """One data set of `conf/dataset`, by its name."""
    if name not in options("dataset"):
        raise UserError(f"There is no data set '{name}'; expected one of {', '.join(options('dataset'))}.")
    return compose_job(["model=graclus", "pooling=learned", f"dataset={name}"]).cell.dataset


@contextmanager
def _hydra() -> Iterator[None]:
    """Hydra's composition, with its complaints as one sentence."""
    register_resolvers()
    try:
        with initialize_config_dir(str(paths.CONF), version_base=VERSION_BASE):
            yield
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain(error)) from error
    except yaml.YAMLError as error:
        raise UserError(f"A configuration file is no valid YAML: {' '.join(str(error).split())}.") from error


def explain(error: Exception) -> str:
    """One sentence from what Hydra says in many lines."""
    text = str(error).split("\nConfig search path")[0]
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        key = unknown.group(1)
        similar = difflib.get_close_matches(key, KEYS, n=1)
        hint = f"did you mean '{similar[0]}'?" if similar else "`--cfg job` shows the keys there are."
        return f"Unknown key '{key}'; {hint}"
    text = re.sub(r"^In '[^']*': ", "", text.split("\nSee https")[0].split("\n    full_key")[0])
    text = re.sub(r":\n\t", ": ", text)
    text = re.sub(r"\n\t", ", ", text)
    return re.sub(r"\s*\n+\s*", ". ", text.strip()).replace("..", ".")
