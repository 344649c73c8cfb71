"""What is to be added to a results folder, and how it is put together with what is there: as a whole or not at all."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rethinking.analysis.cells import successor
from rethinking.analysis.checking import whole
from rethinking.analysis.collected import Collected, history_file, predictions_file, read_collected, read_listed
from rethinking.analysis.manifest import (
    CELLS,
    KINDS,
    MANIFEST,
    PROVENANCE,
    RUNS,
    SCORECARDS,
    TABLES,
    Listed,
    Manifest,
    listed,
    listed_scorecard,
    manifest_text,
)
from rethinking.analysis.replacing import replacement
from rethinking.analysis.tidy import united
from rethinking.errors import UserError
from rethinking.runs.plain import plain_text
from rethinking.runs.predictions import compact, write_predictions

ORDER = ["dataset", "family", "variant", "fidelity", "cell_id", "seed", "split", "metric"]


@dataclass(frozen=True)
class CellFiles:
    """What a cell's learning curves and predictions become; None for a file that stays as it is."""

    history: pd.DataFrame | None
    predictions: pd.DataFrame | None


@dataclass(frozen=True)
class Added:
    """Runs that are added, in the place of what a folder knows of the same runs.

    runs, provenance: their rows. cells: those that they are of, as they are stored. files: of each cell, whole.
    """

    runs: pd.DataFrame
    provenance: pd.DataFrame
    cells: dict[str, dict]
    files: dict[str, CellFiles]


def put_together(folder: Path, before: Collected, added: Added) -> int:
    """Write a results folder, which is held, anew with what is added. Returns how many runs it has then.

    Runs of schema 1 go as soon as all their seeds are there in schema 2. Raises UserError if it cannot be written; it
    then stays as it is.
    """
    cells = before.cells | added.cells
    runs = united(added.runs, before.runs)
    provenance = united(added.provenance, before.provenance)
    replaced = set(_replaced(runs, cells))
    runs = runs[~runs["cell_id"].isin(replaced)].sort_values(ORDER)
    # A run whose provenance was lost keeps a row, an empty one.
    provenance = provenance.set_index("run_id").reindex(runs.drop_duplicates("run_id")["run_id"]).reset_index()
    cells = {id: kept for id, kept in cells.items() if id not in replaced}
    manifest = _kept(before, replaced)
    with replacement(folder) as new:
        manifest |= _write_files(new, added.files) | _write_tables(new, runs, provenance, cells)
        (new / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8")
    return int(runs["run_id"].nunique())


def undamaged(folder: Path, done: str = "collected") -> Collected:
    """What a folder has. Raises UserError if any of it is damaged: what is left must not take the place of what was.

    done: what would have been done with it.
    """
    before = read_collected(folder)
    problems = list(before.problems)
    for name in before.manifest or ():
        if name not in TABLES:
            try:
                read_listed(folder, name, before.manifest)
            except ValueError as error:
                problems.append(f"{folder / name} {error}.")
    if problems:
        more = f" And {len(problems) - 1} more like this." if len(problems) > 1 else ""
        raise UserError(f"Nothing was {done}. {problems[0]}{more}")
    return before


def united_frames(old: pd.DataFrame | None, new: dict[int, pd.DataFrame], order: list[str]) -> pd.DataFrame | None:
    """A cell's file with new frames of some runs, by seed; None if there are none. order: of a run's rows."""
    if not new:
        return None
    frames = [] if old is None else [old[~old["seed"].isin(list(new))]]
    frames += [frame.assign(seed=seed) for seed, frame in new.items()]
    return pd.concat(frames).sort_values(["seed", *order])


def _replaced(runs: pd.DataFrame, cells: dict[str, dict]) -> list[str]:
    """The cells of schema 1 all of whose seeds are there in schema 2."""
    seeds = runs.groupby("cell_id")["seed"].agg(set).to_dict()
    return [
        id
        for id, stored in cells.items()
        if id in seeds
        and stored.get("schema") == 1
        and successor(stored) not in (None, id)
        and seeds[id] <= seeds.get(str(successor(stored)), set())
    ]


def _kept(before: Collected, replaced: set[str]) -> Manifest:
    """The entries of all learning curves, predictions and scorecards there, but for those of cells that are replaced.

    Raises UserError for one that no manifest lists and that cannot be read.
    """
    manifest: Manifest = {}
    there = [path for kind in KINDS for path in (before.folder / kind).glob("*.parquet") if path.stem not in replaced]
    for path in sorted([*there, *(before.folder / SCORECARDS).glob("[!.]*.json")]):
        name = f"{path.parent.name}/{path.name}"
        manifest[name] = (before.manifest or {}).get(name) or _listed(path)
    return manifest


def _listed(path: Path) -> Listed:
    """The entry of a file that no manifest lists yet."""
    try:
        if path.parent.name == SCORECARDS:
            return listed_scorecard(path)
        return listed(path.read_bytes(), len(whole(lambda: pd.read_parquet(path), lambda frame: None)))
    except (OSError, ValueError) as error:
        raise UserError(f"Nothing was collected. {path} {error}; restore it or delete it.") from error


def _write_files(new: Path, files: dict[str, CellFiles]) -> Manifest:
    manifest: Manifest = {}
    for kind in KINDS:
        (new / kind).mkdir()
    for id, cell in files.items():
        if cell.history is not None:
            cell.history.to_parquet(new / history_file(id), index=False, compression="zstd")
            manifest[history_file(id)] = listed((new / history_file(id)).read_bytes(), len(cell.history))
        if cell.predictions is not None:
            write_predictions(compact(cell.predictions), new / predictions_file(id))
            manifest[predictions_file(id)] = listed((new / predictions_file(id)).read_bytes(), len(cell.predictions))
    return manifest


def _write_tables(new: Path, runs: pd.DataFrame, provenance: pd.DataFrame, cells: dict[str, dict]) -> Manifest:
    texts = {
        RUNS: (runs.to_csv(index=False), len(runs)),
        PROVENANCE: (provenance.to_csv(index=False), len(provenance)),
        CELLS: (plain_text(cells, sort_keys=True), len(cells)),
    }
    for name, (text, _) in texts.items():
        (new / name).write_bytes(text.encode())
    return {name: listed(text.encode(), rows) for name, (text, rows) in texts.items()}
