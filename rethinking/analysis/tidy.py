"""Finished runs as tidy data frames, of a run store and of a results folder together."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rethinking.analysis.cells import StoredCell, stored_cell
from rethinking.analysis.collected import COLUMNS, KEYS, Collected, history_file, predictions_file, read_collected
from rethinking.configuration.cell import Cell
from rethinking.errors import UserError
from rethinking.runs.identity import cell_id
from rethinking.runs.predictions import read_predictions
from rethinking.runs.record import DIAGNOSTIC
from rethinking.runs.store import Entry, RunStore, is_stale


@dataclass(frozen=True)
class Results:
    """Finished runs, of each cell those of one schema only.

    runs: tidy, `COLUMNS`. provenance: a row a run. cells: those that have runs, by their ids.
    seeds: by cell all seeds there are, those of the other schema of a cell too. older: the id of a cell's runs of
    schema 1, by the id that it has now.
    sources: where they were read, in words. store, folder: the run store and results folder they are of.
    stored: the ids of the runs that are in the store; what the folder has of them does not count.
    """

    runs: pd.DataFrame
    provenance: pd.DataFrame
    cells: dict[str, StoredCell]
    seeds: dict[str, set[int]]
    older: dict[str, str]
    sources: list[str]
    store: RunStore
    folder: Path
    stored: frozenset[str]

    def scores(self, cell_id: str, metric: str, split: str = "test") -> pd.Series:
        """The scores of one cell, indexed by seed."""
        runs = self.runs
        chosen = runs[(runs.cell_id == cell_id) & (runs.metric == metric) & (runs.split == split)]
        return chosen.set_index("seed")["value"].sort_index()

    def history(self, cell_id: str) -> pd.DataFrame:
        """The learning curves of a cell's runs, a row a seed and epoch."""
        return self._of_runs(cell_id, self.store.history, history_file(self.folder, cell_id), pd.read_parquet)

    def predictions(self, cell_id: str) -> pd.DataFrame:
        """The predictions of a cell's runs, a row a seed, part and graph; see `runs/predictions.py`.

        Raises UserError if the runs are of schema 1, which has none.
        """
        if self.cells[cell_id].older:
            raise UserError(f"The runs of cell {cell_id} are of schema 1, without predictions; train it anew.")
        return self._of_runs(cell_id, self.store.predictions, predictions_file(self.folder, cell_id), read_predictions)

    def cell_with_runs(self, cell: Cell) -> str | None:
        """The id of a cell on that content of its data set of which there are runs; of several, the first or most."""
        ids = [id for now in self._ids(cell) for id in (now, self.older.get(now)) if id in self.cells]
        counts = {id: self.runs.loc[self.runs.cell_id == id, "run_id"].nunique() for id in ids if id is not None}
        return max(counts, key=lambda id: counts[id]) if any(counts.values()) else None

    def seeds_of(self, cell: Cell, first: int) -> tuple[int, int]:
        """How many of the first seeds of a cell there are, of this schema and of schema 1."""
        wanted = set(range(first))
        ids = self._ids(cell)
        now = [len(wanted & self.seeds.get(id, set())) for id in ids]
        older = [len(wanted & self.seeds.get(self.older.get(id, ""), set())) for id in ids]
        return max(now, default=0), max(older, default=0)

    def _ids(self, cell: Cell) -> list[str]:
        """The ids that a cell has on each content of its data set that is known."""
        expected = [source.fingerprint for source in cell.dataset.sources if source.fingerprint]
        found = [stored.fingerprint for stored in self.cells.values() if stored.dataset == cell.dataset.name]
        return [cell_id(cell, fingerprint) for fingerprint in dict.fromkeys(expected + found)]

    def _of_runs(
        self,
        cell_id: str,
        read_run: Callable[[str], pd.DataFrame],
        collected: Path,
        read: Callable[[Path], pd.DataFrame],
    ) -> pd.DataFrame:
        """What there is of each run of a cell: of the store's runs there, of all others in a collected file."""
        mine = self.runs[self.runs.cell_id == cell_id].drop_duplicates("run_id")
        here = mine[mine.run_id.isin(list(self.stored))]
        frames = [read_run(str(run)).assign(seed=int(seed)) for run, seed in zip(here.run_id, here.seed, strict=True)]
        if collected.is_file():
            frame = read(collected)
            frames.append(frame[frame["seed"].isin(mine.seed) & ~frame["seed"].isin(here.seed)])
        frames = [frame for frame in frames if len(frame)]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["epoch", "seed"])


def read_results(store: RunStore, folder: Path) -> Results:
    """All finished runs of a store and of a results folder; a run in both counts once.

    Of a cell that has runs of two schemas, those of schema 2 count as soon as they are as many as the others.
    """
    done, collected = finished(store), read_collected(folder)
    cells = {id: stored_cell(id, stored) for id, stored in {**collected.cells, **cells_of(store, done)}.items()}
    known = {id: cell for id, cell in cells.items() if cell is not None}
    mine = tidy(done)
    runs, provenance = united(mine, collected.runs), united(provenance_of(done), collected.provenance)
    usable = runs["cell_id"].isin(list(known))
    seeds: dict[str, set[int]] = defaultdict(set)
    for id, seed in zip(runs.loc[usable, "cell_id"], runs.loc[usable, "seed"], strict=True):
        seeds[id].add(int(seed))
    older = {cell.now: id for id, cell in known.items() if cell.older and id in seeds}
    aside = [id if len(seeds.get(now, ())) >= len(seeds[id]) else now for now, id in older.items()]
    runs = runs[usable & ~runs["cell_id"].isin(aside)].reset_index(drop=True)
    provenance = provenance[provenance["run_id"].isin(runs["run_id"])].reset_index(drop=True)
    kept = {id: known[id] for id in known if id in seeds and id not in aside}
    return Results(
        runs,
        provenance,
        kept,
        dict(seeds),
        older,
        _sources(store, mine, collected, list(known)),
        store,
        folder,
        frozenset(mine["run_id"]),
    )


def read_some(store: RunStore, folder: Path) -> Results:
    """The same. Raises UserError if there are no runs at all."""
    results = read_results(store, folder)
    if results.runs.empty:
        raise UserError(f"There are no finished runs in {store.folder}/ or {folder}/; `rethinking run` trains some.")
    return results


def finished(store: RunStore) -> list[Entry]:
    """The finished runs of a store that are of this schema."""
    return [entry for entry in store.entries() if entry.state == "done" and not is_stale(entry)]


def cells_of(store: RunStore, done: Sequence[Entry]) -> dict[str, dict[str, Any]]:
    """What is kept of the cells of some runs, by their ids; what the run that was finished last says."""
    by_time = sorted(done, key=lambda entry: str(entry.record.get("finished", "")))
    last = {entry.record["cell_id"]: entry.run_id for entry in by_time}
    configs = {cell: store.config(run) for cell, run in last.items()}
    return {cell: {key: value for key, value in config.items() if key != "seed"} for cell, config in configs.items()}


def tidy(done: Sequence[Entry]) -> pd.DataFrame:
    """A row a run, split and metric, from the records of finished runs."""
    rows = [
        {**{key: entry.record[key] for key in KEYS}, "split": split, "metric": metric, "value": entry.record[name]}
        for entry in done
        for split, metric, name in _scores(entry.record)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def provenance_of(done: Sequence[Entry]) -> pd.DataFrame:
    """A row a run: all of its record that is neither its identity nor a score."""
    rows = []
    for entry in done:
        leave_out = {*KEYS[1:], "files", "metric", *(name for _, _, name in _scores(entry.record))}
        rows.append({key: value for key, value in entry.record.items() if key not in leave_out})
    return pd.DataFrame(rows, columns=None if rows else ["run_id"])


def united(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The rows of both; of a run that is in both, those of the first only."""
    others = second[~second["run_id"].isin(first["run_id"])] if len(first) else second
    frames = [frame for frame in (first, others) if len(frame)] or [first]
    return pd.concat(frames, ignore_index=True)


def _scores(record: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(split, metric, key) of every score in a record."""
    metrics = {"train": ["loss"], "val": ["loss", record["metric"]], "test": ["loss", record["metric"]]}
    scores = [(split, metric, f"{split}_{metric}") for split, names in metrics.items() for metric in names]
    diagnostics = [name for name in record if name.startswith(DIAGNOSTIC)]
    return scores + [("test", name.removeprefix(DIAGNOSTIC), name) for name in diagnostics]


def _sources(store: RunStore, mine: pd.DataFrame, collected: Collected, known: Sequence[str]) -> list[str]:
    """Where runs were read, and how many cannot be used."""
    sources = []
    for runs, place in ((mine, f"{store.folder}/"), (collected.runs, collected.folder / "runs.csv")):
        total, used = runs["run_id"].nunique(), runs.loc[runs["cell_id"].isin(known), "run_id"].nunique()
        left_out = f" ({total - used} stale ones left out)" if used < total else ""
        sources += [f"{used} runs in {place}{left_out}"] if total else []
    return sources
