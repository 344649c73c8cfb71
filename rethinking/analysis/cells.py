"""Cells as a store or a results folder has them: data of whoever made it, read and never imported or called."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rethinking.analysis.older import completed
from rethinking.runs.identity import SCHEMA, cell_id, is_name
from rethinking.tasks.task import Measure


class StaleError(Exception):
    """The runs of a cell are of an older schema and count no more."""


@dataclass(frozen=True)
class StoredCell:
    """A cell of which there are runs.

    config: its configuration, `asdict(Cell)`. measure: what its scores mean. test_to_train: see `Splitter`.
    now: the id that it has in this version; its own, unless its runs are of an older schema.
    """

    id: str
    now: str
    schema: int
    fingerprint: str
    measure: Measure
    test_to_train: float
    config: dict[str, Any]

    @property
    def older(self) -> bool:
        """Whether its runs are of an older schema."""
        return self.schema != SCHEMA

    @property
    def is_local(self) -> bool | None:
        """Whether its clusters are of nodes near each other; None if nobody has said."""
        return self.config["is_local"]

    @property
    def selects(self) -> bool:
        """Whether it has a Select at all."""
        return bool(self.config["select"])

    @property
    def dataset(self) -> str:
        """The data set's key in `conf/dataset`."""
        return self.config["dataset"]["name"]

    @property
    def title(self) -> str:
        """The data set's title."""
        return self.config["dataset"]["title"]


def stored_cell(id: str, stored: Any) -> StoredCell:
    """A cell from its entry in `cells.yaml`, or a run's `config.yaml`.

    Raises StaleError for what counts no more, and ValueError with the reason for what is no such thing.
    """
    if not is_name(id):
        raise ValueError(f"{id!r} is no id")
    if not isinstance(stored, Mapping) or "schema" not in stored:
        raise ValueError("holds no cell")
    if stored["schema"] not in (1, SCHEMA):
        raise ValueError(f"is of schema {stored['schema']!r}, which this version does not know")
    try:
        whole = completed(stored) if stored["schema"] == 1 else stored
        if whole is None:
            raise StaleError
        cell = _checked(id, whole)
    except (KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"holds no whole cell ({type(error).__name__} {str(error)[:80]})") from error
    if not cell.older and cell.now != id:
        raise ValueError(f"holds the configuration of another cell, {cell.now}")
    return cell


def successor(stored: Mapping[str, Any]) -> str | None:
    """The id that a stored cell has in this version, stale ones too; None for what is no cell."""
    try:
        return cell_id(stored["cell"], stored["fingerprint"])
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        return None


def is_label(text: Any) -> bool:
    """Whether a name that was read can be shown and is one part of a path; `fidelity` has colons, too."""
    return isinstance(text, str) and text.isprintable() and not {"/", "\\"} & set(text) and text not in ("", ".", "..")


def _checked(id: str, whole: Mapping[str, Any]) -> StoredCell:
    config, ratio, measure = whole["cell"], float(whole["test_to_train"]), Measure.read(whole["measure"])
    dataset = config["dataset"]
    for key, word in [(key, config[key]) for key in ("family", "variant", "fidelity")] + [("name", dataset["name"])]:
        if not is_label(word):
            raise ValueError(f"has the {key} {word!r}, which is no name")
    for word in (dataset["title"], measure.metric, measure.unit.name):
        if not isinstance(word, str) or not word or not word.isprintable():
            raise ValueError(f"has the title or metric {word!r}, which is no text")
    if measure.metric == "loss":
        raise ValueError("has the metric 'loss', the name of something else")
    if not all(isinstance(config[key], dict) for key in ("network", "select", "trainer")):
        raise ValueError("has a network, Select or trainer that is none")
    if type(config["is_local"]) not in (bool, type(None)):
        raise ValueError(f"has is_local {config['is_local']!r}; expected true, false or null")
    if not 0 <= ratio < math.inf or not 0 < measure.margin < math.inf:
        raise ValueError(f"has the margin {measure.margin} and test_to_train {ratio}; expected numbers above 0")
    now = cell_id(config, whole["fingerprint"])
    return StoredCell(id, now, int(whole["schema"]), str(whole["fingerprint"]), measure, ratio, config)
