"""Composes configurations by Hydra's rules outside of a Hydra job: whole sweeps, and single cells."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from tabulate import tabulate

from rethinking import paths
from rethinking.configuration.cell import Cell
from rethinking.configuration.hints import explain, unknown_key
from rethinking.configuration.launchers import check_chosen, expect_presets
from rethinking.configuration.plain import Plain
from rethinking.configuration.resolvers import register_resolvers
from rethinking.configuration.settings import PARTS, ImpossiblePairError, Settings, cell_of, settings
from rethinking.configuration.together import group_file, group_names, is_plain, parse_word, put_together
from rethinking.data.load import DatasetConfig
from rethinking.errors import UserError

VERSION_BASE = "1.3"
# The variant that is the family's own Select.
LEARNED = "learned"
log = logging.getLogger(__name__)
Read = TypeVar("Read")


def compose_job(overrides: Sequence[str]) -> Settings:
    """The settings of one job, from overrides as one types them (`["model=graclus", …]`).

    Raises UserError for anything that cannot be composed.
    """
    try:
        job = _put_together(overrides, settings)
    except ImpossiblePairError as error:
        if error.skip:  # As a sweep may have hundreds of them.
            raise
        job = None
    job = job or compose_by_hydra(overrides)
    from rethinking.configuration.check import check  # Late: to try a network takes torch, to compose a cell does not.

    check(job.cell)
    return job


def compose_by_hydra(overrides: Sequence[str]) -> Settings:
    """The same without a look at whether the network can be made; by Hydra, which takes a third of a second."""
    with _hydra(overrides):
        config = _compose(overrides)
        try:
            return settings(config)
        except ImpossiblePairError as error:
            raise ImpossiblePairError(*error.pair, error.skip, _what_is_possible(config.model)) from error


def compose_cell(overrides: Sequence[str]) -> Cell:
    """The cell of overrides, as `compose_job` has it without its checks, and for plain overrides many times faster.

    For tables, which have many cells: Hydra would read all files again for each of them.
    """
    return _compose_cell(tuple(overrides), paths.configuration())


@cache
def _compose_cell(overrides: tuple[str, ...], folders: tuple[Path, ...]) -> Cell:
    """folders: where configuration files are found; a key of the cache."""
    cell = _put_together(overrides, cell_of)
    if cell is not None:
        return cell
    with _hydra(overrides):
        return cell_of(_compose(overrides))


def _put_together(overrides: Sequence[str], read: Callable[[Plain], Read]) -> Read | None:
    """What plain overrides give without Hydra, many times faster; None if they need it, or if anything else is wrong.

    Raises ImpossiblePairError, without what is possible.
    """
    try:
        whole = put_together([parse_word(word) for word in overrides], paths.configuration())
        return None if whole is None else read(whole)
    except ImpossiblePairError:
        raise
    except Exception as error:  # Hydra says what is wrong, or knows more than `plain.py`.
        log.debug("%s is left to Hydra: %r", " ".join(overrides), error)
        return None


@cache
def _base() -> DictConfig:
    """What is not chosen by a cell's overrides."""
    with hydra_started():
        return compose("config", overrides=any_choice())


def any_choice() -> list[str]:
    """Some file of each group that has no default: one of the project's."""
    return [f"{group}={min((paths.CONF / group).glob('*.yaml')).stem}" for group in ("model", "pooling", "dataset")]


def asks_for_several(overrides: Sequence[str]) -> bool:
    """Whether the configuration itself asks for a multirun (`hydra.mode`), without `-m`."""
    with _hydra(overrides):
        return _of_hydra(overrides).mode == RunMode.MULTIRUN


def _of_hydra(overrides: Sequence[str]) -> DictConfig:
    """Hydra's own part of the configuration: of the files chosen and what is said of Hydra.

    Other values are left out, as they may be of files that are swept over.
    """
    refuse_unknown(overrides)
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    files = group_names(paths.configuration())
    told = [o for o in parser.parse_overrides(list(overrides)) if o.is_hydra_override() or o.key_or_group in files]
    check_chosen(told, paths.configuration())
    return _hydra_with(tuple(str(override.input_line) for override in told), paths.configuration())


@cache
def _hydra_with(lines: tuple[str, ...], folders: tuple[Path, ...]) -> DictConfig:
    """A command asks several times, and Hydra takes a third of a second. folders: a key of the cache."""
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    return hydra.compose_config("config", list(lines), RunMode.MULTIRUN, with_log_configuration=False).hydra


def as_choices(overrides: Sequence[str]) -> dict[str, str]:
    """Of a multirun: each `GROUP.KEY=VALUE` with a form of the same meaning that Hydra takes, a choice of one.

    Before it lays out a sweep it composes a configuration without what is swept over, so that a value of a file that
    only the jobs choose (`model=a,b model.hidden=8`) has no place.
    """
    with _hydra(overrides):
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    groups = group_names(paths.configuration())
    inside = [o for o in parsed if is_plain(o) and "." in o.key_or_group and o.key_or_group.split(".")[0] in groups]
    words = [(str(o.input_line), *str(o.input_line).split("=", 1)) for o in inside]
    return {word: f"{key}=choice({value})" for word, key, value in words if value.strip()}


def expand_sweep(overrides: Sequence[str]) -> list[list[str]] | None:
    """The overrides of every job of a sweep, by the rules of Hydra's basic sweeper; None if another one is chosen."""
    with _hydra(overrides):
        whole = _of_hydra(overrides)
        if whole.sweeper._target_.rpartition(".")[2] != BasicSweeper.__name__:
            return None
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        params = [f"{key}={value}" for key, value in (whole.sweeper.params or {}).items()]
        (jobs,) = BasicSweeper.split_arguments(parser.parse_overrides([*params, *overrides]), max_batch_size=None)
    return [list(job) for job in jobs]


def _compose(overrides: Sequence[str]) -> DictConfig:
    refuse_unknown(overrides)
    config = compose("config", overrides=list(overrides))
    # Of other parts it is known which keys they have. What an added file brings must be a key too, or it is a slip.
    for part in ("model", "pooling"):
        name = OmegaConf.select(config, f"{part}.name")
        file = group_file(part, str(name), paths.configuration())
        for key in set(config[part] or ()) - set(file or config[part] or ()):
            raise UserError(unknown_key(f"{part}.{key}", OmegaConf.create({part: file})))
    return config


def refuse_unknown(overrides: Sequence[str]) -> None:
    """Raises UserError for `+KEY=VALUE` that adds no file of a group, and for a group without a name of a file."""
    groups = group_names(paths.configuration())
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        if not key:
            raise UserError(f"{override.input_line} is not understood; expected KEY=VALUE.")
        adds = override.is_add() or override.is_force_add()
        if adds and key not in groups and not override.is_hydra_override():
            known = _known(overrides)
            if OmegaConf.select(known, key, throw_on_missing=False) is not None:
                raise UserError(f"{key} is a key already; write {key}=VALUE, without a plus.")
            raise UserError(unknown_key(key, known))
        if key in groups and not override.is_sweep_override() and not _names_files(override):
            raise UserError(f"{override.input_line} is not understood; expected one of {', '.join(options(key))}.")


def _names_files(override: Override) -> bool:
    """Whether an override of a group names a file of it, or a list of them."""
    value = override.value()
    several = value if isinstance(value, list) and not override.is_delete() else [value]
    return all(isinstance(name, str) for name in several)


def options(group: str) -> list[str]:
    """The files of a group, of `conf/` and of one's own folder, as one types them; those in a folder as FOLDER/FILE."""
    folders = [folder / group for folder in paths.configuration()]
    found = {path.relative_to(folder).with_suffix("") for folder in folders for path in folder.rglob("*.yaml")}
    return sorted(map(Path.as_posix, found))


def brought(overrides: Sequence[str], key: str) -> bool:
    """Whether a file that is added to a configuration, `+GROUP=NAME`, has a key of its own."""
    added = [word.lstrip("+").partition("=") for word in overrides if word.startswith("+")]
    files = [folder / group / f"{name}.yaml" for folder in paths.configuration() for group, _, name in added]
    with suppress(yaml.YAMLError, UnicodeDecodeError):  # Hydra says what is wrong.
        return any(key in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}) for file in files if file.is_file())
    return False


def possible_variants(model: str) -> list[str]:
    """The variants, the project's and one's own, that a model can be combined with."""
    return list(_possible_with(model, paths.configuration()))


@cache
def _possible_with(model: str, folders: tuple[Path, ...]) -> tuple[str, ...]:
    """folders: where configuration files are found; a key of the cache."""
    return tuple(_possible_variants(_read("model", model)))


def _possible_variants(model: DictConfig) -> list[str]:
    variants = options("pooling")
    pairs = {name: OmegaConf.create({"model": model, "pooling": _read("pooling", name)}) for name in variants}
    return [name for name, pair in pairs.items() if model.select_kind in (pair.pooling.select or ())]


def _read(group: str, option: str) -> DictConfig:
    """A file of `model` or `pooling` as a job has it."""
    folders = paths.configuration()
    with _hydra():
        file = group_file(group, option, folders)
        return OmegaConf.create(file) if file else _compose([*any_choice(), f"{group}={option}"])[group]


def _what_is_possible(model: DictConfig) -> str:
    possible = ", ".join(_possible_variants(model))
    if not possible:
        return f"No file of pooling has the kind '{model.select_kind}'."
    return f"Possible with this model: pooling={possible}. In a sweep, skip_impossible=true leaves such pairs out."


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


class OwnFolder(SearchPathPlugin):
    """Shows Hydra where one's own configuration files lie, in commands and jobs alike."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called whenever Hydra starts."""
        for folder in paths.configuration()[1:]:
            search_path.append("own", f"file://{folder}")


def prepare_hydra() -> None:
    """What Hydra must know before it composes anything."""
    register_resolvers()
    expect_presets()
    Plugins.instance().register(OwnFolder)


@contextmanager
def _hydra(overrides: Sequence[str] = ()) -> Iterator[None]:
    """Hydra's composition, with its complaints as one sentence."""
    with in_one_sentence(overrides), hydra_started():
        yield


@contextmanager
def hydra_started() -> Iterator[None]:
    """Hydra, started unless it is already."""
    prepare_hydra()
    if GlobalHydra.instance().is_initialized():
        yield
        return
    with initialize_config_dir(str(paths.CONF), version_base=VERSION_BASE):
        yield


@contextmanager
def in_one_sentence(overrides: Sequence[str]) -> Iterator[None]:
    """Makes one sentence, a UserError, of what Hydra and OmegaConf complain about. overrides: what is composed."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain(error, _known(overrides), _addable())) from error
    except yaml.YAMLError as error:
        raise UserError(f"A configuration file is no valid YAML: {' '.join(str(error).split())}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"A configuration file is no text in UTF-8: {error}.") from error


def _known(overrides: Sequence[str]) -> DictConfig:
    """A configuration of the files that are chosen, as far as they can be, for its keys."""
    words = dict(word.partition("=")[::2] for word in [*any_choice(), *overrides])
    chosen = [f"{key}={word}" for key, word in words.items() if key in PARTS and word in options(key)]
    with hydra_started():
        try:
            return compose("config", overrides=chosen)
        except HydraException:
            return _base()


def _addable() -> list[str]:
    return sorted(group_names(paths.configuration()) - set(PARTS))
