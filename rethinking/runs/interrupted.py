"""Where groups that stopped before they were done leave their states, see `checkpoints.py`; known without torch."""

import hashlib
from pathlib import Path

from rethinking.runs.together import as_text

NAME = ".checkpoints"
SUFFIX = ".pt"


def file_name(cell_id: str, seeds: list[int]) -> str:
    """Of a group: the seeds that began together."""
    group = hashlib.sha256(as_text(seeds).encode()).hexdigest()[:8]
    return f"{cell_id}-s{seeds[0]:02d}-{group}{SUFFIX}"


def cell_of(path: Path) -> str:
    """The id of the cell that a file is of."""
    return path.name.rpartition("-s")[0]


def files_of(store: Path) -> list[Path]:
    """The files that there are, of groups that train, too."""
    return sorted((store / NAME).glob(f"[!.]*{SUFFIX}"))
