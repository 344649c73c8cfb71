"""Adds the finished runs of a store to a results folder, and takes out what they replace."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from rethinking.analysis.cells import successor
from rethinking.analysis.collected import Collected, history_file, predictions_file, read_collected, write_collected
from rethinking.analysis.tidy import cells_of, finished, provenance_of, tidy, united
from rethinking.runs.predictions import compact, read_predictions, write_predictions
from rethinking.runs.store import Entry, RunStore


def collect(store: RunStore, folder: Path) -> int:
    """Add the finished runs of a store to a results folder. Returns how many runs the folder now has.

    A run of the store replaces all that the folder knows of that run. Runs of schema 1 go as soon as all their seeds
    are there in schema 2.
    """
    done, before = finished(store), read_collected(folder)
    known = dict(zip(before.provenance["run_id"], before.provenance.get("finished", ""), strict=False))
    renewed = {entry.run_id for entry in done if known.get(entry.run_id) != entry.record.get("finished")}
    cells = before.cells | cells_of(store, done)
    for file in (history_file, predictions_file):
        file(folder, "").parent.mkdir(parents=True, exist_ok=True)
    for cell_id in sorted({entry.record["cell_id"] for entry in done}):
        members = [entry for entry in done if entry.record["cell_id"] == cell_id]
        _add(
            history_file(folder, cell_id), members, renewed, ["epoch"],
            store.history, pd.read_parquet, _write_history,
        )  # fmt: skip
        _add(
            predictions_file(folder, cell_id), members, renewed, ["part", "graph"],
            store.predictions, read_predictions, lambda frame, path: write_predictions(compact(frame), path),
        )  # fmt: skip
    runs, provenance = united(tidy(done), before.runs), united(provenance_of(done), before.provenance)
    replaced = _replaced(runs, cells)
    runs = runs[~runs["cell_id"].isin(replaced)]
    kept = {id: stored for id, stored in cells.items() if id not in replaced}
    write_collected(Collected(folder, runs, provenance, kept))
    for cell_id in replaced:
        history_file(folder, cell_id).unlink(missing_ok=True)
    return runs["run_id"].nunique()


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


def _add(
    path: Path,
    members: Sequence[Entry],
    renewed: set[str],
    order: list[str],
    read_run: Callable[[str], pd.DataFrame],
    read: Callable[[Path], pd.DataFrame],
    write: Callable[[pd.DataFrame, Path], None],
) -> None:
    """Add to a cell's file what it does not have yet of the cell's runs, or has of a run that was trained anew.

    order: of the rows of one run.
    """
    old = [read(path)] if path.is_file() else []
    known = {int(seed) for frame in old for seed in frame["seed"].unique()}
    new = [entry for entry in members if entry.run_id in renewed or entry.record["seed"] not in known]
    if new:
        seeds = [entry.record["seed"] for entry in new]
        frames = [frame[~frame["seed"].isin(seeds)] for frame in old]
        frames += [read_run(entry.run_id).assign(seed=entry.record["seed"]) for entry in new]
        part = path.with_suffix(".part")
        write(pd.concat(frames).sort_values(["seed", *order]), part)
        part.replace(path)


def _write_history(frame: pd.DataFrame, path: Path) -> None:
    frame.to_parquet(path, index=False, compression="zstd")
