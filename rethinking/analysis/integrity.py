"""Whether a results folder or a run store is as it was written, and what is in it fits together: nothing is trained."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rethinking.analysis.cells import StoredCell
from rethinking.analysis.checking import ROUNDING, check_scores
from rethinking.analysis.collected import read_listed
from rethinking.analysis.manifest import KINDS, MANIFEST, RUNS, SCORECARDS, read_manifest
from rethinking.analysis.tidy import Results, read_results
from rethinking.errors import UserError
from rethinking.runs.identity import run_id
from rethinking.runs.reading import CONFIG, RESULT
from rethinking.runs.store import Entry, RunStore

NOTHING = ".nothing"  # A folder that is not there.
# What a run's directory may have beside the files that its record lists.
OWN = {RESULT}


@dataclass(frozen=True)
class Integrity:
    """What was found. files: how many have a checksum. problems: what is not as it was written, or does not fit."""

    results: Results
    files: int
    problems: list[str]


def is_results(folder: Path) -> bool:
    """Whether a folder is one of results, not a run store. Raises UserError if it is neither."""
    if (folder / RUNS).is_file() or (folder / MANIFEST).is_file():
        return True
    if any((path / name).is_file() for path in folder.glob("[!.]*") for name in (RESULT, CONFIG)):
        return False
    raise UserError(
        f"{folder}/ is neither a results folder, with a file {RUNS}, nor a run store, with a folder a run; name one."
    )


def integrity(folder: Path) -> Integrity:
    """Of a results folder or a run store: all its files against their checksums, all scores against what they are of.

    Raises UserError if it is neither.
    """
    if is_results(folder):
        results = read_results(RunStore(folder / NOTHING), folder)
        files, problems = _listed(folder)
    else:
        store = RunStore(folder, anew=True)
        entries = store.entries()
        results = read_results(store, folder / NOTHING, entries)
        done = [entry for entry in entries if entry.state == "done"]
        files = sum(1 + len(entry.record["files"]) for entry in done)
        problems = [sentence for entry in done for sentence in _extra(folder, entry)]
    unfit = list(_unfit(results))
    return Integrity(results, files, list(dict.fromkeys([*problems, *results.left_out, *unfit])))


def _listed(folder: Path) -> tuple[int, list[str]]:
    """How many files the manifest of a results folder lists, and what is wrong with them."""
    try:
        manifest = read_manifest(folder)
    except ValueError:
        return 0, []  # It is said where it is read.
    if manifest is None:
        return 0, [f"{folder / MANIFEST} is missing, so nothing says what was collected; restore it."]
    problems = []
    for name in manifest:
        try:
            read_listed(folder, name, manifest)
        except ValueError as error:
            problems.append(f"{folder / name} {error}.")
    there = [path for kind in (*KINDS, SCORECARDS) for path in sorted((folder / kind).glob("[!.]*"))]
    extra = [path for path in there if f"{path.parent.name}/{path.name}" not in manifest]
    return len(manifest), [*problems, *(f"{path} is not in {MANIFEST}: nobody has collected it." for path in extra)]


def _extra(store: Path, entry: Entry) -> Iterator[str]:
    """What lies in a run's directory that its record does not list."""
    for path in sorted((store / entry.run_id).glob("*")):
        if path.name not in {*OWN, *entry.record["files"]}:
            yield f"{path} is not among the files of its run."


def _unfit(results: Results) -> Iterator[str]:
    """Sentences on runs whose scores are not those of their learning curves and predictions."""
    best = results.provenance.set_index("run_id").get("best_epoch", pd.Series(dtype=float)).to_dict()
    for id, rows in results.runs.groupby("cell_id", sort=False):
        cell = results.cells[str(id)]
        if cell.older:
            continue
        records: dict[int, dict[str, float]] = defaultdict(dict)
        for seed, split, metric, value in zip(rows.seed, rows.split, rows.metric, rows.value, strict=True):
            records[int(seed)][f"{split}_{metric}"] = value
        # Read once for all runs of the cell; what is damaged is said there and has no rows.
        epochs = results.history(cell.id).set_index(["seed", "epoch"]).to_dict("index")
        predictions = dict(iter(results.predictions(cell.id).groupby("seed")))
        for seed, record in records.items():
            run = run_id(cell.id, seed)
            try:
                _check_history(cell, record, epochs.get((seed, best.get(run)), {}))
                if seed not in predictions:
                    raise ValueError("has no predictions")
                check_scores(cell, record, predictions[seed])
            except ValueError as error:
                yield f"{_place(results, run)} {error}."


def _check_history(cell: StoredCell, record: Mapping[str, float], best: Mapping[Any, float]) -> None:
    """Whether scores are those of the best epoch of the learning curve. best: its row, empty if there is none."""
    if not best:
        raise ValueError("has no learning curve, or not its best epoch")
    for name in ("train_loss", *(f"{part}_{of}" for part in ("val", "test") for of in ("loss", cell.measure.metric))):
        found, recorded = best.get(name), record.get(name, math.nan)
        if found is None or (math.isnan(found) and math.isnan(recorded)):
            continue
        if not math.isclose(found, recorded, rel_tol=ROUNDING, abs_tol=ROUNDING):
            raise ValueError(f"has a {name} of {found:g} in its best epoch, recorded is {recorded:g}")


def _place(results: Results, run: str) -> str:
    """Where a run is, in words."""
    return str(results.store.folder / run) if run in results.stored else f"{results.collected.folder}: {run}"
