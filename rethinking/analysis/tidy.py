"""Runs as tidy data frames, and the files of `results/` that hold them.

runs.csv                a row a run, split and metric
provenance.csv          a row a run: versions, commit, machine, time
cells.yaml              the scientific configuration of every cell
histories/CELL.parquet  a row a run and epoch: learning curves
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from rethinking.configuration.cell import Cell
from rethinking.errors import UserError
from rethinking.runs import identity
from rethinking.runs.identity import SCHEMA
from rethinking.runs.store import DIAGNOSTIC, Entry, RunStore, is_stale

KEYS = ["run_id", "cell_id", "family", "variant", "dataset", "fidelity", "seed"]
COLUMNS = [*KEYS, "split", "metric", "value"]
ORDER = ["dataset", "family", "variant", "fidelity", "cell_id", "seed"]


@dataclass(frozen=True)
class Results:
    """Finished runs.

    runs: tidy, `COLUMNS`. provenance: a row a run. cells: the configuration of every cell, by its id.
    sources: where they were read, in words. store, folder: the run store and results folder they are of.
    """

    runs: pd.DataFrame
    provenance: pd.DataFrame
    cells: dict[str, dict[str, Any]]
    sources: list[str]
    store: RunStore
    folder: Path

    def scores(self, cell_id: str, metric: str, split: str = "test") -> pd.Series:
        """The scores of one cell, indexed by seed."""
        runs = self.runs
        chosen = runs[(runs.cell_id == cell_id) & (runs.metric == metric) & (runs.split == split)]
        return chosen.set_index("seed")["value"].sort_index()

    def history(self, cell_id: str) -> pd.DataFrame:
        """The learning curves of a cell's runs, a row a seed and epoch."""
        path = self.folder / "histories" / f"{cell_id}.parquet"
        frames = [pd.read_parquet(path)] if path.is_file() else []
        collected = set(frames[0]["seed"]) if frames else set()
        mine = self.runs[self.runs.cell_id == cell_id].drop_duplicates("run_id")
        for run in mine[~mine.seed.isin(collected)].itertuples():
            frames.append(self.store.history(str(run.run_id)).assign(seed=int(str(run.seed))))
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["epoch", "seed"])

    def cell_with_runs(self, cell: Cell) -> str | None:
        """The id of a cell on that content of its data set of which there are runs; of several, the first or most."""
        candidates = [source.fingerprint for source in cell.dataset.sources if source.fingerprint]
        ids = [identity.cell_id(cell, f) for f in dict.fromkeys(candidates + self.fingerprints(cell.dataset.name))]
        counts = [self.runs.loc[self.runs.cell_id == id, "run_id"].nunique() for id in ids]
        return max(zip(counts, ids, strict=True), key=lambda pair: pair[0])[1] if any(counts) else None

    def fingerprints(self, dataset: str) -> list[str]:
        """The contents of a data set that runs were made on, the most frequent first."""
        if "fingerprint" not in self.provenance:
            return []
        runs = self.runs.loc[self.runs.dataset == dataset, "run_id"].unique()
        return list(self.provenance[self.provenance.run_id.isin(runs)].fingerprint.dropna().value_counts().index)


def read_results(store: RunStore, folder: Path) -> Results:
    """All finished runs of a store and of a results folder; a run in both counts once."""
    runs, provenance, sources = [], [], []
    cells = _read_cells(folder)
    done = _done(store.entries())
    if done:
        runs.append(tidy(done))
        provenance.append(provenance_of(done))
        sources.append(f"{len(done)} runs in {store.folder}/")
        first = {entry.record["cell_id"]: entry.run_id for entry in reversed(done)}
        cells |= {cell: _cell_config(store, run_id) for cell, run_id in first.items()}
    if (folder / "runs.csv").is_file():
        collected = _read_csv(folder / "runs.csv", COLUMNS)
        about = _read_csv(folder / "provenance.csv", ["run_id", "schema"])
        stale = set(about.loc[about["schema"] < SCHEMA, "run_id"])
        runs.append(collected[~collected["run_id"].isin(stale)])
        provenance.append(about[~about["run_id"].isin(stale)])
        left_out = f" ({len(stale)} of an older schema left out)" if stale else ""
        sources.append(f"{len(provenance[-1])} runs in {folder / 'runs.csv'}{left_out}")
    return Results(
        _unite(runs, COLUMNS, ["run_id", "split", "metric"]),
        _unite(provenance, ["run_id"], ["run_id"]),
        cells,
        sources,
        store,
        folder,
    )


def read_some(store: RunStore, folder: Path) -> Results:
    """The same. Raises UserError if there are no runs at all."""
    results = read_results(store, folder)
    if results.runs.empty:
        raise UserError(f"There are no finished runs in {store.folder}/ or {folder}/; `rethinking run` trains some.")
    return results


def collect(store: RunStore, folder: Path) -> int:
    """Add the finished runs of a store to a results folder. Returns how many runs the folder now has."""
    results = read_results(store, folder)
    done = _done(store.entries())
    cells = _read_cells(folder)
    (folder / "histories").mkdir(parents=True, exist_ok=True)
    for cell_id in sorted({entry.record["cell_id"] for entry in done}):
        members = [entry for entry in done if entry.record["cell_id"] == cell_id]
        cells[cell_id] = _cell_config(store, members[0].run_id)
        _collect_histories(store, members, folder / "histories" / f"{cell_id}.parquet")
    runs = results.runs.sort_values([*ORDER, "split", "metric"])
    _write(folder / "runs.csv", runs.to_csv(index=False, float_format="%.6g"))
    by_run = runs.drop_duplicates("run_id")["run_id"]
    # A run whose provenance was lost keeps a row, an empty one.
    provenance = results.provenance.set_index("run_id").reindex(by_run).reset_index()
    _write(folder / "provenance.csv", provenance.to_csv(index=False))
    _write(folder / "cells.yaml", yaml.safe_dump(cells, sort_keys=True))
    return len(provenance)


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
    return pd.DataFrame(rows)


def _scores(record: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(split, metric, key) of every score in a record."""
    metrics = {"train": ["loss"], "val": ["loss", record["metric"]], "test": ["loss", record["metric"]]}
    scores = [(split, metric, f"{split}_{metric}") for split, names in metrics.items() for metric in names]
    diagnostics = [name for name in record if name.startswith(DIAGNOSTIC)]
    return scores + [("test", name.removeprefix(DIAGNOSTIC), name) for name in diagnostics]


def _done(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.state == "done" and not is_stale(entry)]


def _read_cells(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / "cells.yaml"
    try:
        # The loader in C reads a large file in a moment.
        return yaml.load(path.read_text(), yaml.CSafeLoader) if path.is_file() else {}
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path} cannot be read ({reason}); restore it or name another folder with --results."
        ) from error


def _cell_config(store: RunStore, run_id: str) -> dict[str, Any]:
    config = yaml.load((store.folder / run_id / "config.yaml").read_text(), yaml.CSafeLoader)
    return {key: value for key, value in config.items() if key != "seed"}


def _collect_histories(store: RunStore, members: Sequence[Entry], path: Path) -> None:
    """Learning curves of the cell's runs that the file does not have yet are added to it."""
    old = pd.read_parquet(path) if path.is_file() else pd.DataFrame({"seed": []})
    known = set(old["seed"])
    new = [
        store.history(entry.run_id).assign(seed=entry.record["seed"])
        for entry in members
        if entry.record["seed"] not in known
    ]
    if new:
        frames = [old, *new] if len(old) else new
        part = path.with_suffix(".part")
        pd.concat(frames).sort_values(["seed", "epoch"]).to_parquet(part, index=False, compression="zstd")
        part.replace(path)


def _unite(frames: list[pd.DataFrame], columns: list[str], key: list[str]) -> pd.DataFrame:
    if not frames:
        return pd.DataFrame(columns=columns)
    return pd.concat(frames, ignore_index=True).drop_duplicates(key, keep="first")


def _read_csv(path: Path, needed: list[str]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); restore it or name another folder with --results."
        ) from error
    missing = [column for column in needed if column not in frame]
    if missing:
        raise UserError(
            f"{path} lacks the columns {', '.join(missing)}; restore it or name another folder with --results."
        )
    return frame


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)
