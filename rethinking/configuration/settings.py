"""The door between Hydra and the harness: a composed configuration in, plain typed objects out."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rethinking.configuration.cell import PAPER, RELEASED_CODE, Cell
from rethinking.configuration.locality import locality
from rethinking.data.load import DatasetConfig
from rethinking.data.sources import Places
from rethinking.data.split import file_checksum
from rethinking.errors import UserError
from rethinking.training.settings import TrainerConfig


@dataclass(frozen=True)
class Settings:
    """One job: a cell, its seeds, and how and where to train it."""

    cell: Cell
    seeds: list[int]
    device: str
    replicas: int | None
    threads: int
    evaluation_batch_size: int
    runs: Path
    retry_failed: bool
    save_model: bool
    diagnosed_graphs: int
    places: Places


class ImpossiblePairError(UserError):
    """A variant that has no Select of the kind the family needs."""


# Every key of a composed configuration, beside `hydra`.
KEYS = frozenset(
    {
        *("model", "pooling", "dataset", "trainer", "fidelity", "ledger", "tasks"),
        *("seeds", "device", "replicas", "threads", "evaluation_batch_size"),
        *("splits", "diagnosed_graphs", "runs", "retry_failed", "save_model", "data"),
    }
)

# What the file of a family or a variant must have; a family without anything to select has `learned: {}`.
NEEDED = {
    "model": ("name", "select_kind", "learned", "batch_size", "gradient_clip", "network"),
    "pooling": ("name", "select"),
}

# What splits by a file, in place of what the data set's own file says.
FILE_SPLIT = "rethinking.data.split.FileSplit"

# Typed forms of the parts of the configuration; Hydra's values are checked against them.
_SCHEMAS = {"dataset": DatasetConfig, "trainer": TrainerConfig, "data": Places}


def register_resolvers() -> None:
    """What configuration files may ask for.

    `${per_dataset:KEY}` in a model's file: its value for the chosen data set, else its `default`.
    `${ledger:ROW,VALUE}`: VALUE, or what the fidelity ledger has instead where that row follows something else.
    `${expand_user:FOLDER}`: a folder with `~` replaced.
    """

    def per_dataset(key: str, *, _parent_: DictConfig, _root_: DictConfig) -> Any:
        rows = _parent_.per_dataset
        return rows.get(_root_.dataset.name, rows.default)[key]

    def ledger(row: str, value: Any, *, _root_: DictConfig) -> Any:
        entry = _root_.ledger[row]
        concerned = all(entry.get(group) in (None, _root_[group].name) for group in ("model", "dataset"))
        return alternatives(entry).get(_root_.fidelity[row], value) if concerned else value

    OmegaConf.register_new_resolver("per_dataset", per_dataset, replace=True)
    OmegaConf.register_new_resolver("ledger", ledger, replace=True)
    OmegaConf.register_new_resolver("expand_user", lambda folder: str(Path(folder).expanduser()), replace=True)


def alternatives(entry: DictConfig) -> dict[str, Any]:
    """What a row of the fidelity ledger has instead of the paper's value, by the names it goes by."""
    released = {RELEASED_CODE: entry.released_code} if RELEASED_CODE in entry else {}
    return {**released, **entry.get("readings", {})}


def settings(config: DictConfig) -> Settings:
    """Plain objects from a composed configuration.

    Raises UserError for an impossible pair of model and pooling, or a value of the wrong kind.
    """
    unknown = set(map(str, config)) - KEYS
    if unknown:
        raise UserError(f"Unknown key {', '.join(sorted(unknown))}; expected one of {', '.join(sorted(KEYS))}.")
    for group, keys in NEEDED.items():
        missing = [key for key in keys if key not in config[group]]
        if missing:
            raise UserError(f"The file of {group}={config[group].get('name', '?')} lacks {', '.join(missing)}.")
    select = config.pooling.select.get(config.model.select_kind)
    if select is None:
        raise ImpossiblePairError(f"model={config.model.name} cannot be combined with pooling={config.pooling.name}.")
    if config.device not in ("auto", "cpu", "cuda"):
        raise UserError(f"device={config.device} is unknown; expected auto, cpu or cuda.")
    cell = Cell(
        family=config.model.name,
        variant=config.pooling.name,
        fidelity=_fidelity(config.fidelity, config.ledger),
        dataset=_with_splits(_typed(config, "dataset"), config.splits),
        network=_plain(config.model.network),
        select=_plain(select),
        trainer=_typed(config, "trainer"),
        is_local=locality(config.pooling.get("is_local"), _plain(select)),
    )
    return Settings(
        cell=cell,
        seeds=_seeds(config.seeds),
        device=config.device,
        replicas=None if config.replicas == "auto" else _positive("replicas", config.replicas),
        threads=_positive("threads", config.threads),
        evaluation_batch_size=_positive("evaluation_batch_size", config.evaluation_batch_size),
        runs=_folder("runs", config.runs),
        retry_failed=_boolean("retry_failed", config.retry_failed),
        save_model=_boolean("save_model", config.save_model),
        diagnosed_graphs=_count("diagnosed_graphs", config.diagnosed_graphs),
        places=_typed(config, "data"),
    )


def choose_device(name: str) -> torch.device:
    """The device for `device=auto|cpu|cuda`. Raises UserError for cuda where there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda was asked for, but torch finds no CUDA device; use device=auto or device=cpu.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _plain(config: DictConfig) -> dict[str, Any]:
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))


def _typed(config: DictConfig, key: str) -> Any:
    try:
        resolved = OmegaConf.to_container(config[key], resolve=True)
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(_SCHEMAS[key]), resolved))
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{key}.{error.full_key}: {reason}." if error.full_key else f"{key}: {reason}.") from error


def _seeds(value: Any) -> list[int]:
    seeds = list(range(value)) if isinstance(value, int) and not isinstance(value, bool) else value
    if OmegaConf.is_list(seeds):
        seeds = list(seeds)
    proper = isinstance(seeds, list) and all(type(s) is int and s >= 0 for s in seeds)
    if not proper or not seeds or len(set(seeds)) < len(seeds):
        raise UserError(
            f"seeds={value} is not understood; expected a number of seeds (seeds=20) or a list of "
            "different numbers from 0 on (seeds=[0,3,7])."
        )
    return seeds


def _with_splits(dataset: DatasetConfig, folder: Any) -> DatasetConfig:
    """The data set with the splits of a folder, if one is named, in place of its own."""
    if folder is None:
        return dataset
    file = str(_folder("splits", folder) / f"{dataset.name}.csv")
    return replace(dataset, split={"_target_": FILE_SPLIT, "file": file, "sha256": file_checksum(file)})


def _fidelity(config: DictConfig, ledger: DictConfig) -> str:
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
    if type(value) is not int or value < 1:
        raise UserError(f"{key}={value} is not understood; expected a whole number of at least 1.")
    return value


def _count(key: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise UserError(f"{key}={value} is not understood; expected a whole number, 0 for none.")
    return value


def _boolean(key: str, value: Any) -> bool:
    if type(value) is not bool:
        raise UserError(f"{key}={value} is not understood; expected true or false.")
    return value
