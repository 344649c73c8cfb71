"""The door between Hydra and the harness: a composed configuration in, plain typed objects out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rethinking.configuration.cell import PAPER, RELEASED_CODE, Cell
from rethinking.configuration.declared import as_declared
from rethinking.configuration.locality import locality
from rethinking.configuration.plain import Plain
from rethinking.configuration.resolvers import alternatives
from rethinking.data.load import DatasetConfig
from rethinking.data.sources import Places
from rethinking.data.split import file_checksum
from rethinking.errors import UserError
from rethinking.training.settings import LARGEST_COUNT, TrainerConfig


@dataclass(frozen=True)
class Settings:
    """One job: a cell, its seeds, and how and where to train it.

    replicas, evaluation_batch_size: None for auto. logger: the target of a `Tracker`.
    """

    cell: Cell
    seeds: list[int]
    device: str
    replicas: int | None
    threads: int
    fast: bool
    evaluation_batch_size: int | None
    runs: Path
    retry_failed: bool
    save_model: bool
    diagnosed_graphs: int
    checkpoint_minutes: float
    logger: dict[str, Any]
    places: Places


class ImpossiblePairError(UserError):
    """A variant that has no Select of the kind the family needs. skip: whether a sweep may go on without the pair."""

    def __init__(self, family: str, variant: str, skip: bool, possible: str = "") -> None:
        super().__init__(f"model={family} cannot be combined with pooling={variant}. {possible}".strip())
        self.pair = family, variant
        self.skip = skip


# Every key of a composed configuration, beside `hydra`: those with keys of their own, and the others.
PARTS = ("model", "pooler", "pooling", "dataset", "trainer", "fidelity", "ledger", "tasks", "data", "logger")
KEYS = frozenset(
    {
        *PARTS,
        *("seeds", "device", "replicas", "threads", "fast", "evaluation_batch_size"),
        *("splits", "diagnosed_graphs", "runs", "retry_failed", "save_model", "skip_impossible"),
        "checkpoint_minutes",
    }
)

# What words begin with that make other cells than names of files do.
OTHER_CELLS = ("+", "model.", "pooling.", "pooler", "dataset.", "tasks.", "trainer", "fidelity.", "splits=")

# What the file of a family, a variant or an operator must have; a family without anything to select has `learned: {}`.
NEEDED = {
    "model": ("name", "select_kind", "learned", "batch_size", "gradient_clip", "network"),
    "pooling": ("name", "select"),
    "pooler": ("name", "operator"),
}

# More seeds than anybody trains, and numbers larger than any seed: a slip, found before memory is asked for.
MOST_SEEDS, LARGEST_SEED = 10_000, 2**31 - 1

# The argument of a Select that is made of a pooling operator (conf/pooler).
OPERATOR = "operator"

# What splits by a file, in place of what the data set's own file says.
FILE_SPLIT = "rethinking.data.split.FileSplit"

# Typed forms of the parts of the configuration; Hydra's values are checked against them.
_SCHEMAS = {"dataset": DatasetConfig, "trainer": TrainerConfig, "data": Places}
# By the part and the text of what it held, what came out.
_typed_before: dict[tuple[str, str], Any] = {}


def settings(config: DictConfig | Plain) -> Settings:
    """Plain objects from a composed configuration.

    Raises UserError for an impossible pair of model and pooling, or a value of the wrong kind.
    """
    cell = cell_of(config)
    _expect_operator(config, cell)
    if config.device not in ("auto", "cpu", "cuda"):
        raise UserError(f"device={config.device} is unknown; expected auto, cpu or cuda.")
    return Settings(
        cell=cell,
        seeds=_seeds(config.seeds),
        device=config.device,
        replicas=_positive_or_auto("replicas", config.replicas),
        threads=_positive("threads", config.threads),
        fast=_boolean("fast", config.fast),
        evaluation_batch_size=_positive_or_auto("evaluation_batch_size", config.evaluation_batch_size),
        runs=_folder("runs", config.runs),
        retry_failed=_boolean("retry_failed", config.retry_failed),
        save_model=_boolean("save_model", config.save_model),
        diagnosed_graphs=_count("diagnosed_graphs", config.diagnosed_graphs),
        checkpoint_minutes=_minutes("checkpoint_minutes", config.checkpoint_minutes),
        logger=_plain(config.logger),
        places=_typed(config, "data"),
    )


def _expect_operator(config: DictConfig | Plain, cell: Cell) -> None:
    """Raises UserError if the model pools by an operator and none is chosen, or has no place for the one that is."""
    model, chosen = config.model.name, config.pooler.get("chosen", True)
    if OPERATOR in cell.select and not chosen:
        raise UserError(
            f"model={model} with pooling={config.pooling.name} pools by an operator, and none is chosen; expected "
            "pooler=pyg/TopKPooling or another file of conf/pooler (for a class of your own: `rethinking check`), or "
            "pooling=none."
        )
    if chosen and not any(OPERATOR in (made or ()) for made in config.model.learned.values()):
        raise UserError(
            f"model={model} has pooling layers of its own or none, so the operator "
            f"{config.pooler.get('title', config.pooler.name)} would change nothing; expected model=host, a network "
            "around any operator, or no pooler."
        )


def cell_of(config: DictConfig | Plain) -> Cell:
    """What is trained, of a composed configuration. Raises UserError as `settings` does."""
    _check_shape(config)
    select = config.pooling.select.get(config.model.select_kind)
    if select is None:
        skip = _boolean("skip_impossible", config.skip_impossible)
        raise ImpossiblePairError(config.model.name, config.pooling.name, skip)
    dataset = _with_splits(_typed(config, "dataset"), config.splits)
    select = _plain(select)
    # A pooling layer made of an operator has the operator's name; what stands in its place is the same for all of them.
    family = config.pooler.name if OPERATOR in select else config.model.name
    return Cell(
        family=family,
        variant=config.pooling.name,
        fidelity=_fidelity(config.fidelity, config.ledger),
        dataset=replace(dataset, split=as_declared(dataset.split), task=as_declared(dataset.task)),
        network=as_declared(_plain(config.model.network)),
        select=as_declared(select),
        trainer=_typed(config, "trainer"),
        is_local=locality(config.pooling.get("is_local"), select),
    )


def _check_shape(config: DictConfig | Plain) -> None:
    """Raises UserError unless all keys are there, no others, and what has keys of its own is given as such."""
    unknown = set(map(str, config)) - KEYS
    if unknown:
        raise UserError(f"Unknown key {', '.join(sorted(unknown))}; expected one of {', '.join(sorted(KEYS))}.")
    left_out = KEYS - set(map(str, config))
    if left_out:
        raise UserError(f"The configuration lacks {', '.join(sorted(left_out))}.")
    for part in PARTS:
        _mapping(part, config[part])
    for group, keys in NEEDED.items():
        missing = [key for key in keys if key not in config[group]]
        if missing:
            raise UserError(f"The file of {group}={config[group].get('name', '?')} lacks {', '.join(missing)}.")
        _word(f"{group}.name", config[group].name)
    _word("model.select_kind", config.model.select_kind)
    _mapping("model.network", config.model.network)
    _mapping("pooling.select", config.pooling.select)
    for kind, select in config.pooling.select.items():
        _mapping(f"pooling.select.{kind}", select)


def _mapping(key: str, value: Any) -> None:
    if not isinstance(value, Mapping) or (isinstance(value, DictConfig) and value._is_none()):
        raise UserError(f"{key}={value} is not understood; expected keys with values, as `--cfg job` shows them.")


def _word(key: str, value: Any) -> None:
    """What names files and stands in tables."""
    if not isinstance(value, str) or not re.fullmatch(r"[\w-]+", value, re.ASCII):
        raise UserError(f"{key}={value} is not understood; expected letters, digits, - and _ only.")


def _plain(config: DictConfig | Plain) -> dict[str, Any]:
    if isinstance(config, Plain):
        return config.resolved()
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))


def _typed(config: DictConfig | Plain, key: str) -> Any:
    """A part in its typed form, which nobody changes; checking takes longest, and a table has few different ones."""
    try:
        resolved = _plain(config[key])
        known = key, repr(resolved)
        if known not in _typed_before:
            merged = OmegaConf.merge(OmegaConf.structured(_SCHEMAS[key]), resolved)
            _typed_before[known] = OmegaConf.to_object(merged)
        return _typed_before[known]
    except OmegaConfBaseException as error:
        reason = re.sub(
            r"of type '\w+' could not be converted to Integer", "is no whole number", str(error).splitlines()[0]
        )
        raise UserError(f"{key}.{error.full_key}: {reason}." if error.full_key else f"{key}: {reason}.") from error


def _seeds(value: Any) -> list[int]:
    seeds = range(value) if type(value) is int else value
    if OmegaConf.is_list(seeds):
        seeds = list(seeds)
    proper = isinstance(seeds, (list, range)) and 0 < len(seeds) <= MOST_SEEDS
    if (
        not proper
        or not all(type(seed) is int and 0 <= seed <= LARGEST_SEED for seed in seeds)
        or len(set(seeds)) < len(seeds)
    ):
        raise UserError(
            f"seeds={value} is not understood; expected a number of seeds up to {MOST_SEEDS} (seeds=20), a list of "
            f"different numbers from 0 to {LARGEST_SEED} (seeds=[0,3,7]), or seeds=until_decided on the command line."
        )
    return list(seeds)


def _with_splits(dataset: DatasetConfig, folder: Any) -> DatasetConfig:
    """The data set with the splits of a folder, if one is named, in place of its own.

    Whatever file they are in, its checksum is noted: runs are known by what is in it.
    """
    split = dataset.split
    if folder is not None:
        file = str(_folder("splits", folder) / f"{dataset.name}.csv")
    elif split.get("_target_") == FILE_SPLIT and split.get("sha256") is None and "file" in split:
        file = str(split["file"])
    else:
        return dataset
    return replace(dataset, split={"_target_": FILE_SPLIT, "file": file, "sha256": file_checksum(file)})


def _fidelity(config: Mapping[Any, Any], ledger: Mapping[Any, Any]) -> str:
    """One word if all rows of the ledger follow the same source, else those that part from the paper's text."""
    rows = {str(row): value for row, value in config.items() if row != "name"}
    known = {row: alternatives(ledger[row]) for row in rows if row in ledger}
    for row, value in rows.items():
        expected = [PAPER, *known.get(row, {})]
        if value not in expected:
            raise UserError(f"fidelity.{row}={value} is unknown; expected {' or '.join(expected)}.")
    released = sorted(row for row, value in rows.items() if value == RELEASED_CODE)
    parts = [f"{row}: {value}" for row, value in sorted(rows.items()) if value not in (PAPER, RELEASED_CODE)]
    if released:
        whole = len(released) == sum(RELEASED_CODE in row for row in known.values())
        parts.insert(0, RELEASED_CODE if whole else f"{RELEASED_CODE}: {', '.join(released)}")
    return "; ".join(parts) or PAPER


def _folder(key: str, value: Any) -> Path:
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{key}={value} is not understood; expected a folder.")
    return Path(value).expanduser()


def _positive(key: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= LARGEST_COUNT:
        raise UserError(f"{key}={value} is not understood; expected a whole number from 1 to {LARGEST_COUNT}.")
    return value


def _positive_or_auto(key: str, value: Any) -> int | None:
    if value == "auto":
        return None
    if type(value) is not int:
        raise UserError(f"{key}={value} is not understood; expected auto or a whole number.")
    return _positive(key, value)


def _count(key: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST_COUNT:
        raise UserError(f"{key}={value} is not understood; expected a whole number to {LARGEST_COUNT}, 0 for none.")
    return value


def _minutes(key: str, value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= LARGEST_COUNT:
        raise UserError(f"{key}={value} is not understood; expected a number of minutes, 0 for none.")
    return float(value)


def _boolean(key: str, value: Any) -> bool:
    if type(value) is not bool:
        raise UserError(f"{key}={value} is not understood; expected true or false.")
    return value
