"""What configuration files may ask for, beside the values of others.

`${per_dataset:KEY}` in a model's file: its value for the chosen data set, else its `default`.
`${ledger:ROW,VALUE}`: VALUE, or what the fidelity ledger has instead where that row follows something else.
`${within:ABOVE,FOLDER}`: a folder with `~` replaced, in another one unless it is absolute.

The first two read OmegaConf's mappings and those of `plain.py` alike.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rethinking.configuration.cell import RELEASED_CODE


def register_resolvers() -> None:
    """Make them known to OmegaConf."""
    OmegaConf.register_new_resolver("per_dataset", per_dataset, replace=True)
    OmegaConf.register_new_resolver("ledger", ledger, replace=True)
    OmegaConf.register_new_resolver("within", within, replace=True)


def within(above: str, folder: str) -> str:
    """A folder with `~` replaced, in another one unless absolute: a job may run where the command was not given."""
    return str(Path(above) / Path(folder).expanduser())


# The names of the last two arguments are OmegaConf's: the mapping that asks, and the whole configuration.
def per_dataset(key: str, *, _parent_: Any, _root_: Any) -> Any:
    """A value of the row of `per_dataset` that is the chosen data set's."""
    rows = _parent_.per_dataset
    if not isinstance(rows, Mapping):
        raise ValueError(f"per_dataset={rows} has no rows")
    return rows.get(_root_.dataset.name, rows["default"])[key]


def ledger(row: str, value: Any, *, _root_: Any) -> Any:
    """A value, or what a row of the ledger has instead."""
    entry = _root_.ledger[row]
    concerned = all(entry.get(group) in (None, _root_[group].name) for group in ("model", "dataset"))
    return alternatives(entry).get(_root_.fidelity[row], value) if concerned else value


def alternatives(entry: Any) -> dict[str, Any]:
    """What a row of the fidelity ledger has instead of the paper's value, by the names it goes by."""
    released = {RELEASED_CODE: entry.released_code} if RELEASED_CODE in entry else {}
    return {**released, **entry.get("readings", {})}
