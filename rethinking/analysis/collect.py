"""Adds the finished runs of a store to a results folder, and takes out what they replace.

Everything is read and checked before anything is written, and the folder changes as a whole (`replacing.py`).
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rethinking.analysis.collected import Collected
from rethinking.analysis.merged import Added, CellFiles, put_together, undamaged, united_frames
from rethinking.analysis.replacing import finish, locked, put_in_place
from rethinking.analysis.stored import Stored, files_of, usable
from rethinking.analysis.tidy import provenance_of, tidy
from rethinking.errors import UserError
from rethinking.runs.store import Entry, RunStore


@dataclass(frozen=True)
class Collection:
    """What became of a collect.

    runs: how many the folder now has. stale: how many of the store are of an older schema. left_out: sentences on
    what is damaged.
    """

    runs: int
    stale: int
    left_out: list[str]


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
        before = undamaged(folder)
        files, refused = _added(store, stored, before)
        done = [entry for entry in stored.done if entry.run_id not in refused]
        cells = {entry.record["cell_id"]: stored.cells[entry.record["cell_id"]] for entry in done}
        runs = put_together(folder, before, Added(tidy(done), provenance_of(done), cells, files))
    left_out = [f"{store.folder / run} is left out: {reason}." for run, reason in sorted(refused.items())]
    return Collection(runs, stored.stale, [*stored.problems, *left_out])


def _nothing(store: RunStore, stored: Stored) -> str:
    """Why there is nothing to collect."""
    if stored.stale:
        return (
            f"The {stored.stale} finished runs in {store.folder}/ are of an older schema, without predictions, and "
            "cannot be collected any more; the command that trained them trains them anew."
        )
    reasons = "".join(f" {sentence}" for sentence in stored.problems[:3])
    return f"There are no finished runs in {store.folder}/; name another store with --runs.{reasons}"


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
        files[id] = CellFiles(
            united_frames(old[0], new[0], ["epoch"]), united_frames(old[1], new[1], ["part", "graph"])
        )
    return files, refused
