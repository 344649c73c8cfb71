"""A cell that can be trained, from what is stored of one, which is data of whoever made it.

Numbers are taken as they are stored. Texts are looked up: a class, a file or a word counts only if our own
configuration (`conf/`, one's own folder) has it, so nothing is imported, opened or called because a record names it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rethinking import paths
from rethinking.configuration.cell import Cell
from rethinking.configuration.composition import compose_cell, options
from rethinking.configuration.declared import as_declared
from rethinking.configuration.identity import class_name, is_own
from rethinking.configuration.settings import FILE_SPLIT, PARTS
from rethinking.errors import UserError
from rethinking.training.settings import TrainerConfig

# Of Hydra's own keys those that our files use: what is called, that arguments are still to come, and in which form they
# are handed over, a word that is looked up as any other.
TARGET, PARTIAL, CONVERT = "_target_", "_partial_", "_convert_"
# The files of `conf/` that say what a cell is: what others name (loggers, launchers) is no part of one.
OF_CELLS = frozenset({*PARTS, "suite", "experiment"} - {"data", "logger"})


@dataclass(frozen=True)
class Known:
    """What our own configuration has. targets: what it calls, `_target_`. texts: all else that is no number."""

    targets: frozenset[str]
    texts: frozenset[str]

    def target(self, text: str) -> str:
        """A class or function; of the project's own also one that has moved to another module since.

        Raises UserError if it is none that is known.
        """
        if text in self.targets:
            return text
        moved = [known for known in self.targets if is_own(known) and class_name(known) == class_name(text)]
        if not is_own(text) or len(moved) != 1:
            raise UserError(f"it names {text!r}, which our own configuration does not call")
        return moved[0]


def rebuilt(cell: Mapping[str, Any], splits: Path | None = None) -> Cell:
    """The cell that a stored configuration is of.

    cell: what `asdict(cell)` gave, read and checked by `analysis.cells.stored_cell`. splits: a folder with splits of
    one's own, `DATASET.csv`. Raises UserError, with the reason as half a sentence, if it cannot be built of what our
    own configuration has. That it is the same cell, its id says.
    """
    known = _known(paths.configuration())
    name = cell["dataset"]["name"]
    if name not in options("dataset"):
        raise UserError(f"there is no data set {name!r} here")
    words = ["model=graclus", "pooling=learned", f"dataset={name}"]  # Of these only the data set is taken.
    file_split = class_name(cell["dataset"]["split"].get(TARGET)) == class_name(FILE_SPLIT)
    if file_split and splits is None:
        raise UserError("it was trained on splits of somebody's own; name their folder with --splits")
    dataset = compose_cell(words if not file_split else [*words, f"splits={splits}"]).dataset
    task = as_declared(_looked_up(cell["dataset"]["task"], known))
    split = dataset.split if file_split else as_declared(_looked_up(cell["dataset"]["split"], known))
    return Cell(
        family=cell["family"],
        variant=cell["variant"],
        fidelity=cell["fidelity"],
        dataset=replace(dataset, split=split, task=task),
        network=as_declared(_looked_up(cell["network"], known)),
        select=as_declared(_looked_up(cell["select"], known)),
        trainer=_trainer(_looked_up(cell["trainer"], known)),
        is_local=cell["is_local"],
    )


def _looked_up(value: Any, known: Known) -> Any:
    """Stored data with its texts looked up. Raises UserError for a text that is not known."""
    if isinstance(value, Mapping):
        return {key: _entry(key, entry, known) for key, entry in value.items()}
    if isinstance(value, list):
        return [_looked_up(entry, known) for entry in value]
    if isinstance(value, str) and value not in known.texts:
        raise UserError(f"it has the text {value[:80]!r}, which our own configuration has not")
    return value


def _entry(key: Any, value: Any, known: Known) -> Any:
    """One value of a mapping."""
    if key == TARGET:
        return known.target(str(value))
    if not isinstance(key, str) or (key.startswith("_") and key not in (PARTIAL, CONVERT)):
        raise UserError(f"it has the key {str(key)[:80]!r}")
    return _looked_up(value, known)


def _trainer(values: Any) -> TrainerConfig:
    try:
        made = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(TrainerConfig), values))
    except OmegaConfBaseException as error:
        raise UserError(f"its trainer is none ({str(error).splitlines()[0]})") from error
    assert isinstance(made, TrainerConfig)
    return made


@cache
def _known(folders: tuple[Path, ...]) -> Known:
    """folders: where configuration files are found; a key of the cache."""
    targets, texts = set(), set()
    for file in sorted(
        file
        for folder in folders
        for file in folder.rglob("*.yaml")
        if Path(file.relative_to(folder).parts[0]).stem in OF_CELLS
    ):
        try:
            content = yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{file} is no valid YAML in UTF-8: {' '.join(str(error).split())}") from error
        for key, text in _texts(content):
            if key == TARGET:
                targets.add(text)
            elif "$" not in text:
                # Files of suites and experiments have KEY=VALUE, too.
                texts |= {text, text.rpartition("=")[2]}
    return Known(frozenset(targets), frozenset(texts))


def _texts(value: Any, key: Any = None) -> Iterator[tuple[Any, str]]:
    """All texts in the data of a file, each with the key under which it stands."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _texts(entry, name)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry, key)
