"""Which groups of a run store stopped before they were done, by the names of the states that they left."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rethinking.runs.together import as_text

NAME = ".checkpoints"
SUFFIX = ".pt"


@dataclass(frozen=True)
class Kept:
    """A state that lies in a store. seed: the first of its group. written: when, UTC."""

    cell_id: str
    seed: int
    written: datetime


def file_name(cell_id: str, seeds: list[int]) -> str:
    """Of a group: the seeds that began together."""
    group = hashlib.sha256(as_text(seeds).encode()).hexdigest()[:8]
    return f"{cell_id}-s{seeds[0]:02d}-{group}{SUFFIX}"


def kept_states(store: Path) -> list[Kept]:
    """All that there are, of groups that train, too. What is named otherwise is none of them."""
    found = []
    for path in sorted((store / NAME).glob(f"[!.]*{SUFFIX}")):
        cell_id, _, rest = path.stem.rpartition("-s")
        seed, _, _ = rest.partition("-")
        if cell_id and seed.isdecimal():
            try:
                written = path.stat().st_mtime
            except OSError:  # Its group has come to an end.
                continue
            found.append(Kept(cell_id, int(seed), datetime.fromtimestamp(written, UTC)))
    return found
