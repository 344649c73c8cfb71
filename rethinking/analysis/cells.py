"""Cells as a store or a results folder has them: data of whoever made it, read and never imported or called."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rethinking.analysis.older import completed
from rethinking.runs.identity import SCHEMA, cell_id, is_name
from rethinking.tasks.task import Measure


@dataclass(frozen=True)
class StoredCell:
    """A cell of which there are runs.

    config: its configuration, `asdict(Cell)`. measure: what its scores mean. test_to_train: see `paired_difference`.
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


def stored_cell(id: str, stored: Any) -> StoredCell | None:
    """A cell from its entry in `cells.yaml`, or a run's `config.yaml`; None for what is no such thing, or is stale."""
    try:
        whole = completed(stored) if stored["schema"] == 1 else stored
        if whole is None or stored["schema"] not in (1, SCHEMA):
            return None
        config, ratio = whole["cell"], float(whole["test_to_train"])
        words = [config[key] for key in ("family", "variant", "fidelity")]
        words += [config["dataset"][key] for key in ("name", "title")]
        parts = [config[key] for key in ("network", "select", "trainer")]
        sound = all(isinstance(word, str) for word in words) and all(isinstance(part, dict) for part in parts)
        if (
            not sound
            or not is_name(id)
            or type(config["is_local"]) not in (bool, type(None))
            or not 0 <= ratio < math.inf
        ):
            return None
        measure = Measure.read(whole["measure"])
        if not 0 < measure.margin < math.inf:
            return None
        now = cell_id(config, whole["fingerprint"])
        if whole["schema"] == SCHEMA and now != id:
            return None
        return StoredCell(id, now, int(whole["schema"]), str(whole["fingerprint"]), measure, ratio, config)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def successor(stored: Mapping[str, Any]) -> str | None:
    """The id that a stored cell has in this version, stale ones too; None for what is no cell."""
    try:
        return cell_id(stored["cell"], stored["fingerprint"])
    except (KeyError, TypeError, AttributeError):
        return None
