"""Names runs by what they are: a hash of the scientific configuration, and the seed."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from rethinking.configuration.cell import Cell
from rethinking.configuration.identity import identity

# Raised by one whenever a change of the program alters what a run means or has; older runs are then stale.
# 1: without predictions. 2: with them, the plateau of the learning rate in the metric's own direction.
SCHEMA = 2


def cell_id(cell: Cell | Mapping[str, Any], fingerprint: str | None) -> str:
    """A hash of a cell's scientific configuration, its data set's content and the schema version.

    cell: see `identity`; of what an older version has stored, the id that the same cell has now.
    """
    parts = {"schema": SCHEMA, **identity(cell, fingerprint)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def run_id(cell: str, seed: int) -> str:
    """The id of a run, from its cell's id and its seed."""
    return f"{cell}-s{seed:02d}"


def is_name(text: Any) -> bool:
    """Whether something that was read can be an id: one part of a path, and no other."""
    return isinstance(text, str) and re.fullmatch(r"[0-9A-Za-z_-]+", text, re.ASCII) is not None
