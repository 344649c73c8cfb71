"""The files of a results folder, `results/`, and how they are read: as data of whoever made them.

runs.csv                   a row a run, split and metric
provenance.csv             a row a run: versions, commit, machine, time
cells.yaml                 the scientific configuration of every cell
histories/CELL.parquet     a row a run and epoch: learning curves
predictions/CELL.parquet   a row a run and graph, see `runs/predictions.py`
scorecards/KEY.json        what was measured of an operator, see `runs/scorecards.py`
manifest.yaml              rows and SHA-256 of all these, see `manifest.py`

What is damaged is said and left out here; `collect.py` refuses it.
"""

import hashlib
import io
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from rethinking.analysis.checking import check_history, check_predictions, check_tested, whole
from rethinking.analysis.manifest import (
    CELLS,
    HISTORIES,
    MANIFEST,
    PREDICTIONS,
    PROVENANCE,
    RUNS,
    TABLES,
    Manifest,
    read_manifest,
    remedy,
)
from rethinking.analysis.parsing import parse_cells, parse_provenance, parse_runs, without_misnamed
from rethinking.errors import UserError
from rethinking.runs.predictions import read_predictions, read_tested

# Where a collect has written what it is about to put in place, see `replacing.py`.
COMPLETE = ".collected"
PATIENCE = 2.0  # seconds that another process has to put its files in place


@dataclass(frozen=True)
class Collected:
    """What a results folder has. cells: what is kept of every cell, by its id, as data of whoever made it.

    manifest: None in a folder of an older version. problems: what was damaged, in sentences. damaged: how many runs
    of `runs.csv` were left out for it.
    """

    folder: Path
    runs: pd.DataFrame
    provenance: pd.DataFrame
    cells: dict[str, dict[str, Any]]
    manifest: Manifest | None = None
    problems: list[str] = field(default_factory=list)
    damaged: int = 0

    def history(self, cell_id: str, metric: str) -> pd.DataFrame | None:
        """The learning curves of a cell, None if there are none. Raises UserError if the file is damaged."""
        return self._read(history_file(cell_id), pd.read_parquet, lambda f: check_history(f, metric, ("seed", "epoch")))

    def predictions(self, cell_id: str, seed: int | None = None) -> pd.DataFrame | None:
        """The predictions of a cell, None if there are none. Raises UserError if the file is damaged.

        seed: only those of this run, if there are any.
        """

        def check(frame: pd.DataFrame) -> None:
            if seed is None or len(frame):
                check_predictions(frame, ("seed", "part", "graph"))

        return self._read(predictions_file(cell_id), lambda source: read_predictions(source, seed), check)

    def tested(self, cell_id: str, seed: int) -> pd.DataFrame | None:
        """The graphs that a run was tested on, a column `graph`; None if there are none.

        Raises UserError if the file is damaged.
        """
        return self._read(predictions_file(cell_id), lambda source: read_tested(source, seed), check_tested)

    def _read(self, name: str, read: Any, check: Any) -> pd.DataFrame | None:
        try:
            content = read_listed(self.folder, name, self.manifest)
        except ValueError as error:
            raise UserError(_sentence(self.folder / name, error)) from error
        try:
            return None if content is None else whole(lambda: read(io.BytesIO(content)), check)
        except ValueError as error:
            raise UserError(f"{self.folder / name} {error}; restore it or delete it.") from error


def read_collected(folder: Path) -> Collected:
    """The tables of a results folder; empty ones if it has none.

    Raises UserError if a collect was interrupted while it put its files in place.
    """
    for _ in range(10):
        _wait_for_collect(folder)
        read = _read_tables(folder)
        # Another process may have put its files in place meanwhile.
        if not read.problems or read.manifest == _manifest(folder, []):
            break
    return read


def read_listed(folder: Path, name: str, manifest: Manifest | None) -> bytes | None:
    """A file's content; None if there is none, and none is listed. Raises ValueError if it is not what is listed."""
    for again in (False, True):  # as the manifest was read, and as it may have become since
        listing = _manifest(folder, []) if again else manifest
        try:
            content: bytes | None = (folder / name).read_bytes()
        except FileNotFoundError:
            content = None
        except OSError as error:
            raise ValueError(f"cannot be read ({error.strerror})") from error
        entry = (listing or {}).get(name)
        if entry is None or (content is not None and hashlib.sha256(content).hexdigest() == entry.sha256):
            return content
    what = "is missing" if content is None else "is not as it was collected"
    raise ValueError(f"{what}; {remedy(folder)}")


def history_file(cell_id: str) -> str:
    """Where the learning curves of a cell lie in a results folder."""
    return f"{HISTORIES}/{cell_id}.parquet"


def predictions_file(cell_id: str) -> str:
    """Where the predictions of a cell lie in a results folder."""
    return f"{PREDICTIONS}/{cell_id}.parquet"


def _sentence(path: Path, error: ValueError) -> str:
    return f"{path} {error}."


def _wait_for_collect(folder: Path) -> None:
    """Raises UserError if a collect that is putting its files in place does not come to an end."""
    end = time.monotonic() + PATIENCE
    while (folder / COMPLETE).exists():
        if time.monotonic() > end:
            raise UserError(
                f"A collect into {folder}/ was interrupted while it put its files in place; "
                "`rethinking collect` finishes it, nothing is lost."
            )
        time.sleep(0.02)


def _manifest(folder: Path, problems: list[str]) -> Manifest | None:
    try:
        return read_manifest(folder)
    except ValueError as error:
        problems.append(f"{folder / MANIFEST} cannot be read ({error}); {remedy(folder)}.")
        return None


def _read_tables(folder: Path) -> Collected:
    problems: list[str] = []
    manifest = _manifest(folder, problems)
    contents: dict[str, bytes] = {}
    for name in TABLES:
        try:
            content = read_listed(folder, name, manifest)
        except ValueError as error:
            problems.append(_sentence(folder / name, error))
            content = _anyway(folder / name)
        if content is not None:
            contents[name] = content
    if contents and not problems:
        problems += [f"{folder / name} is missing; restore it." for name in TABLES if name not in contents]
    runs, damaged = parse_runs(folder / RUNS, contents.get(RUNS), problems)
    provenance = parse_provenance(folder / PROVENANCE, contents.get(PROVENANCE), problems)
    cells = parse_cells(folder / CELLS, contents.get(CELLS), problems)
    runs, misnamed = without_misnamed(folder / RUNS, runs, cells, problems)
    return Collected(folder, runs, provenance, cells, manifest, problems, damaged + misnamed)


def _anyway(path: Path) -> bytes | None:
    """What there is of a file that is not as it was collected: readers go on with it, and say so."""
    try:
        return path.read_bytes()
    except OSError:
        return None
