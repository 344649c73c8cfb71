"""Adds the finished runs of a store to a results folder, and takes out what they replace.

Everything is read and checked before anything is written, and the folder changes as a whole (`replacing.py`).
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from rethinking.analysis.cells import successor
from rethinking.analysis.checking import whole
from rethinking.analysis.collected import (
    Collected,
    history_file,
    predictions_file,
    read_collected,
    read_listed,
)
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
from rethinking.analysis.replacing import finish, locked, put_in_place, replacement
from rethinking.analysis.stored import Stored, files_of, usable
from rethinking.analysis.tidy import provenance_of, tidy, united
from rethinking.errors import UserError
from rethinking.runs.predictions import compact, write_predictions
from rethinking.runs.store import Entry, RunStore

ORDER = ["dataset", "family", "variant", "fidelity", "cell_id", "seed", "split", "metric"]


@dataclass(frozen=True)
class Collection:
    """What became of a collect.

    runs: how many the folder now has. stale: how many of the store are of an older schema. left_out: sentences on
    what is damaged.
    """

    runs: int
    stale: int
    left_out: list[str]


@dataclass(frozen=True)
class CellFiles:
    """What a cell's learning curves and predictions become; None for a file that stays as it is."""

    history: pd.DataFrame | None
    predictions: pd.DataFrame | None


def collect(store: RunStore, folder: Path) -> Collection:
    """Add the finished runs of a store to a results folder.

    A run of the store replaces all that the folder knows of that run. Runs of schema 1 go as soon as all their seeds
    are there in schema 2. Raises UserError if something in the folder is damaged, if there is nothing to add to it, or
    if it cannot be written; it then stays as it is.
    """
    stored = usable(store)
    if not stored.done:
        finish(folder)
        raise UserError(_nothing(store, stored))
    with locked(folder):
        put_in_place(folder)
        before = _undamaged(folder)
        files, refused = _added(store, stored, before)
        done = [entry for entry in stored.done if entry.run_id not in refused]
        cells = before.cells | {entry.record["cell_id"]: stored.cells[entry.record["cell_id"]] for entry in done}
        runs = united(tidy(done), before.runs)
        provenance = united(provenance_of(done), before.provenance)
        replaced = set(_replaced(runs, cells))
        runs = runs[~runs["cell_id"].isin(replaced)].sort_values(ORDER)
        # A run whose provenance was lost keeps a row, an empty one.
        provenance = provenance.set_index("run_id").reindex(runs.drop_duplicates("run_id")["run_id"]).reset_index()
        cells = {id: kept for id, kept in cells.items() if id not in replaced}
        manifest = _kept(before, replaced)
        with replacement(folder) as new:
            manifest |= _write_files(new, files) | _write_tables(new, runs, provenance, cells)
            (new / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8")
    left_out = [f"{store.folder / run} is left out: {reason}." for run, reason in sorted(refused.items())]
    return Collection(runs["run_id"].nunique(), stored.stale, [*stored.problems, *left_out])


def _nothing(store: RunStore, stored: Stored) -> str:
    """Why there is nothing to collect."""
    if stored.stale:
        return (
            f"The {stored.stale} finished runs in {store.folder}/ are of an older schema, without predictions, and "
            "cannot be collected any more; the command that trained them trains them anew."
        )
    reasons = "".join(f" {sentence}" for sentence in stored.problems[:3])
    return f"There are no finished runs in {store.folder}/; name another store with --runs.{reasons}"


def _undamaged(folder: Path) -> Collected:
    """What a folder has. Raises UserError if any of it is damaged: what is left must not take the place of what was."""
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
        raise UserError(f"Nothing was collected. {problems[0]}{more}")
    return before


def _added(store: RunStore, stored: Stored, before: Collected) -> tuple[dict[str, CellFiles], dict[str, str]]:
    """What the files of each cell become, by the cell's id, and the runs that cannot be added, with the reason."""
    known = dict(zip(before.provenance["run_id"], before.provenance.get("finished", ""), strict=False))
    members: dict[str, list[Entry]] = defaultdict(list)
    for entry in stored.done:
        members[entry.record["cell_id"]].append(entry)
    files: dict[str, CellFiles] = {}
    refused: dict[str, str] = {}
    for id, entries in members.items():
        cell = stored.known[id]
        old = before.history(id, cell.measure.metric), before.predictions(id)
        there = [set() if frame is None else set(frame["seed"]) for frame in old]
        new: list[dict[int, pd.DataFrame]] = [{}, {}]
        for entry in entries:
            seed = entry.record["seed"]
            renewed = known.get(entry.run_id) != entry.record.get("finished")
            lacking = [renewed or seed not in seeds for seeds in there]
            if not any(lacking):
                continue
            try:
                frames = files_of(store, cell, entry)
            except ValueError as error:
                refused[entry.run_id] = str(error)
                continue
            for number, frame in enumerate(frames):
                if lacking[number]:
                    new[number][seed] = frame
        files[id] = CellFiles(_united(old[0], new[0], ["epoch"]), _united(old[1], new[1], ["part", "graph"]))
    return files, refused


def _united(old: pd.DataFrame | None, new: dict[int, pd.DataFrame], order: list[str]) -> pd.DataFrame | None:
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
        CELLS: (yaml.safe_dump(cells, sort_keys=True), len(cells)),
    }
    for name, (text, _) in texts.items():
        (new / name).write_bytes(text.encode())
    return {name: listed(text.encode(), rows) for name, (text, rows) in texts.items()}
