"""Finished runs as tidy data frames, of a run store and of a results folder together."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rethinking import __version__, paths
from rethinking.analysis.cells import StaleError, StoredCell, stored_cell
from rethinking.analysis.collected import Collected, read_collected
from rethinking.analysis.parsing import COLUMNS, KEYS
from rethinking.analysis.stored import Stored, history_of, predictions_together, tested_of, usable
from rethinking.configuration.cell import Cell
from rethinking.errors import UserError
from rethinking.runs.identity import cell_id, run_id
from rethinking.runs.record import DIAGNOSTIC
from rethinking.runs.store import Entry, RunStore


@dataclass(frozen=True)
class Results:
    """Finished runs, of each cell those of one schema only.

    runs: tidy, `COLUMNS`. cells: those that have runs, by their ids.
    seeds: by cell all seeds whose score is a number, those of the other schema of a cell too. older: the id of a cell's
    runs of schema 1, by the id that it has now.
    sources: where they were read, in words. store, collected: the run store and results folder they are of.
    done: the runs that are in the store; what the folder has of them does not count.
    left_out: sentences on what is damaged; learning curves and predictions add theirs when they are read.
    refused: the ids of the store's finished runs that are damaged.
    kept: what was worked out from all of it and may be asked for again.
    """

    runs: pd.DataFrame
    cells: dict[str, StoredCell]
    seeds: dict[str, set[int]]
    older: dict[str, str]
    sources: list[str]
    store: RunStore
    collected: Collected
    done: Sequence[Entry]
    left_out: list[str] = field(default_factory=list)
    refused: frozenset[str] = frozenset()
    kept: dict[str, Any] = field(default_factory=dict, init=False)

    @cached_property
    def provenance(self) -> pd.DataFrame:
        """A row a run."""
        whole = united(provenance_of(self.done), self.collected.provenance)
        # A run has a row for each score.
        return whole[whole["run_id"].isin(self.runs["run_id"].unique())].reset_index(drop=True)

    @cached_property
    def stored(self) -> frozenset[str]:
        """The ids of the runs that are in the store."""
        return frozenset(entry.run_id for entry in self.done)

    def scores(self, cell_id: str, metric: str, split: str = "test") -> pd.Series:
        """The scores of one cell, indexed by seed; of a run whose score is not a number none."""
        runs = self.runs.iloc[self._places.get((cell_id, metric, split), [])]
        return runs.set_index("seed")["value"].dropna().sort_index()

    def history(self, cell_id: str) -> pd.DataFrame:
        """The learning curves of a cell's runs, a row a seed and epoch; of damaged ones none."""
        cell = self.cells[cell_id]
        columns = ["seed", "epoch", "val_loss", f"val_{cell.measure.metric}"]
        return self._of_runs(
            cell_id,
            lambda runs: pd.concat(history_of(self.store, cell, run).assign(seed=runs[run]) for run in runs),
            lambda: self.collected.history(cell_id, cell.measure.metric),
            columns,
        )

    def predictions(self, cell_id: str, seed: int | None = None) -> pd.DataFrame:
        """The predictions of a cell's runs, a row a seed, part and graph; of damaged ones none.

        seed: only those of this run. See `runs/predictions.py`. Raises UserError if the runs are of schema 1, which has
        none.
        """
        if self.cells[cell_id].older:
            raise UserError(f"The runs of cell {cell_id} are of schema 1, without predictions; train it anew.")
        return self._of_runs(
            cell_id,
            lambda runs: predictions_together(self.store, runs),
            lambda: self.collected.predictions(cell_id, seed),
            ["seed", "part", "graph", "target", "prediction"],
            seed,
        )

    def tested(self, cell_id: str, seed: int) -> np.ndarray:
        """The numbers of the graphs that a run was tested on, [N]; none if it is damaged, or of schema 1."""
        run = run_id(cell_id, seed)
        frame = None
        try:
            if run in self.stored:
                frame = tested_of(self.store, run)
            elif not self.cells[cell_id].older:
                frame = self.collected.tested(cell_id, seed)
        except ValueError as error:
            self._leave_out_run(run, error)
        except UserError as error:
            self._leave_out_file(error)
        return np.empty(0, dtype=int) if frame is None else frame["graph"].to_numpy()

    def cell_with_runs(self, cell: Cell) -> str | None:
        """The id of a cell on that content of its data set of which there are runs; of several, the first or most."""
        ids = [id for now in self.ids_of(cell) for id in (now, self.older.get(now)) if id in self.cells]
        counts = {id: self._rows(id)["run_id"].nunique() for id in ids if id is not None}
        return max(counts, key=lambda id: counts[id]) if any(counts.values()) else None

    def ids_of(self, cell: Cell) -> list[str]:
        """The ids that a cell has on each content of its data set that is known."""
        expected = [source.fingerprint for source in cell.dataset.sources if source.fingerprint]
        found = [stored.fingerprint for stored in self.cells.values() if stored.dataset == cell.dataset.name]
        return [cell_id(cell, fingerprint) for fingerprint in dict.fromkeys(expected + found)]

    def _rows(self, cell_id: str) -> pd.DataFrame:
        """The rows of `runs` that are of one cell."""
        return self.runs.iloc[self._places_of_cells.get(cell_id, [])]

    @cached_property
    def _places_of_cells(self) -> Mapping[Any, Any]:
        """Where the rows of each cell are, by its id: found once for all cells."""
        return self.runs.groupby("cell_id", sort=False).indices

    @cached_property
    def _places(self) -> Mapping[Any, Any]:
        """Where the rows of each cell's scores are, by its id, the metric and the split."""
        return self.runs.groupby(["cell_id", "metric", "split"], sort=False).indices

    def _of_runs(
        self,
        cell_id: str,
        read: Callable[[Mapping[str, int]], pd.DataFrame],
        read_collected: Callable[[], pd.DataFrame | None],
        columns: Sequence[str],
        seed: int | None = None,
    ) -> pd.DataFrame:
        """What there is of each run of a cell: of the store's runs there, of all others in a collected file.

        read: what the store has of some runs, whose seeds it is given; it raises ValueError if any of them is damaged.
        seed: only of this run.
        """
        mine = self._rows(cell_id).drop_duplicates("run_id")
        mine = mine if seed is None else mine[mine.seed == seed]
        here = mine[[run in self.stored for run in mine.run_id]]
        runs = {str(run): int(seed) for run, seed in zip(here.run_id, here.seed, strict=True)}
        try:
            frames = [read(runs)] if runs else []
        except ValueError:  # Which of them?
            frames = []
            for run, seed in runs.items():
                try:
                    frames.append(read({run: seed}))
                except ValueError as error:
                    self._leave_out_run(run, error)
        try:
            frame = read_collected() if len(here) < len(mine) else None
            if frame is not None:
                frames.append(frame[frame["seed"].isin(mine.seed) & ~frame["seed"].isin(here.seed)])
        except UserError as error:
            self._leave_out_file(error)
        frames = [frame for frame in frames if len(frame)]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(columns), dtype=float)

    def _leave_out_run(self, run: str, error: ValueError) -> None:
        self._leave_out(f"{self.store.folder / run}: {error}; this is left out.")

    def _leave_out_file(self, error: UserError) -> None:
        self._leave_out(f"{str(error).removesuffix('.')}. What it holds is left out.")

    def _leave_out(self, sentence: str) -> None:
        if sentence not in self.left_out:
            self.left_out.append(sentence)


def read_results(store: RunStore, folder: Path, entries: list[Entry] | None = None) -> Results:
    """All finished runs of a store and of a results folder; a run in both counts once.

    Of a cell that has runs of two schemas, those of schema 2 count as soon as they are as many as the others.
    What is damaged is left out, and said in `Results.left_out`. entries: of the store, if they have been read before.
    """
    stored, collected = usable(store, entries), read_collected(folder)
    known, stale, problems = _understood(collected, stored)
    runs = united(tidy(stored.done), collected.runs)
    sound = runs["cell_id"].isin(list(known))
    present = set(runs.loc[sound, "cell_id"])
    metrics = runs["cell_id"].map({id: cell.measure.metric for id, cell in known.items()})
    scored = sound & (runs["split"] == "test") & (runs["metric"] == metrics) & runs["value"].notna()
    seeds: dict[str, set[int]] = defaultdict(set)
    for id, seed in zip(runs.loc[scored, "cell_id"], runs.loc[scored, "seed"], strict=True):
        seeds[id].add(int(seed))
    older = {cell.now: id for id, cell in known.items() if cell.older and id in present}
    aside = [id if len(seeds.get(now, ())) >= len(seeds.get(id, ())) else now for now, id in older.items()]
    runs = runs[sound & ~runs["cell_id"].isin(aside)].reset_index(drop=True)
    return Results(
        runs=runs,
        cells={id: known[id] for id in known if id in present and id not in aside},
        seeds=dict(seeds),
        older=older,
        sources=_sources(store, stored, collected, known, stale),
        store=store,
        collected=collected,
        done=stored.done,
        left_out=[*stored.problems, *collected.problems, *problems],
        refused=stored.refused,
    )


def read_some(store: RunStore, folder: Path) -> Results:
    """The same. Raises UserError if there are no runs at all."""
    results = read_results(store, folder)
    if results.runs.empty:
        raise UserError(
            f"There are no finished runs in {store.folder}/ or {folder}/; `rethinking run` trains some."
            + "".join(f" {sentence}" for sentence in [*results.sources, *results.left_out])
        )
    return results


def tidy(done: Sequence[Entry]) -> pd.DataFrame:
    """A row a run, split and metric, from the records of finished runs."""
    rows = [
        (*(entry.record[key] for key in KEYS), split, metric, entry.record[name])
        for entry in done
        for split, metric, name in _scores(entry.record)
    ]
    # Texts as what they are, as in `parse_runs`.
    return pd.DataFrame(rows, columns=COLUMNS, dtype=object).astype({"seed": int, "value": float})


def provenance_of(done: Sequence[Entry]) -> pd.DataFrame:
    """A row a run: all of its record that is neither its identity nor a score."""
    rows = []
    for entry in done:
        leave_out = {*KEYS[1:], "files", "metric", *(name for _, _, name in _scores(entry.record))}
        about = {key: value for key, value in entry.record.items() if key not in leave_out}
        rows.append({k: v if v is None or isinstance(v, (str, int, float)) else str(v) for k, v in about.items()})
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


def _understood(collected: Collected, stored: Stored) -> tuple[dict[str, StoredCell], set[str], list[str]]:
    """All cells that can be used, the stale ones of the folder, and sentences on its damaged ones that have runs."""
    known, stale, problems = dict(stored.known), set(), []
    counts = collected.runs.groupby("cell_id")["run_id"].nunique()
    for id, count in counts.items():
        if id in known:
            continue
        try:
            known[str(id)] = stored_cell(str(id), collected.cells.get(str(id)))
        except StaleError:
            stale.add(str(id))
        except ValueError as error:
            path = collected.folder / "cells.yaml"
            problems.append(f"{path}: the entry {id} {error}; {_count(count)} of it left out.")
    return known, stale, problems


def _sources(
    store: RunStore, stored: Stored, collected: Collected, known: dict[str, StoredCell], stale: set[str]
) -> list[str]:
    """Where runs were read, and how many of them cannot be used, and why."""
    runs = collected.runs.drop_duplicates("run_id")["cell_id"]
    used, old = int(runs.isin(list(known)).sum()), int(runs.isin(stale).sum())
    whose = str(collected.folder / "runs.csv")
    if collected.folder == paths.REFERENCE:
        whose = f"the reference results that came with rethinking {__version__}"
    places = [
        (f"{store.folder}/", len(stored.done), stored.stale, stored.damaged),
        (whose, used, old, len(runs) - used - old + collected.damaged),
    ]
    sources = []
    for place, sound, stale_ones, damaged in places:
        without = [
            f"{n} {kind} one{'s' if n > 1 else ''}" for n, kind in ((stale_ones, "stale"), (damaged, "damaged")) if n
        ]
        left_out = f" ({' and '.join(without)} left out)" if without else ""
        sources += [f"{sound} runs in {place}{left_out}"] if sound or without else []
    return sources


def _count(runs: int) -> str:
    return f"{runs} runs" if runs > 1 else "1 run"
