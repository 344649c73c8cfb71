"""Names runs by what they are: a hash of the scientific configuration, and the seed."""

import hashlib
import json

from rethinking.configuration.cell import Cell, identity

# Raised by one whenever a change of the program alters what a run means; older runs are then stale.
SCHEMA = 1


def cell_id(cell: Cell, fingerprint: str) -> str:
    """A hash of a cell's scientific configuration, its data set's content and the schema version."""
    parts = {"schema": SCHEMA, **identity(cell, fingerprint)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def run_id(cell: str, seed: int) -> str:
    """The id of a run, from its cell's id and its seed."""
    return f"{cell}-s{seed:02d}"
