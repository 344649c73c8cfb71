"""The finished runs of a run store that can be used, with their cells; and what cannot be used, and why.

The store has checked that files are as they were written; here is checked that what was written makes sense.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from rethinking.analysis.cells import StaleError, StoredCell, is_label, stored_cell
from rethinking.analysis.checking import check_history, check_predictions, check_scores, check_tested, whole
from rethinking.runs.identity import SCHEMA
from rethinking.runs.reading import HISTORY, PREDICTIONS
from rethinking.runs.record import DIAGNOSTIC
from rethinking.runs.store import Entry, RunStore

# Of a record and of the configuration of its cell alike.
ALIKE = ("family", "variant", "fidelity")
LARGEST = 2**53  # whole number: any larger is not exact in a table


@dataclass(frozen=True)
class Stored:
    """What a store has. cells: by their ids, as they were stored, and as they are understood.

    done: runs that can be used. stale: how many are of an older schema. damaged: how many cannot be used.
    refused: the ids of the latter; problems: sentences on them.
    """

    done: list[Entry]
    cells: dict[str, dict[str, Any]]
    known: dict[str, StoredCell]
    stale: int
    damaged: int
    problems: list[str]
    refused: frozenset[str]


def usable(store: RunStore, entries: list[Entry] | None = None) -> Stored:
    """All of a store, sorted out. entries: what it has, for whoever has read that before."""
    entries = store.entries() if entries is None else entries
    problems = {entry.run_id: entry.problem for entry in entries if entry.state == "damaged"}
    stale = 0
    finished: dict[str, list[Entry]] = defaultdict(list)
    for entry in (entry for entry in entries if entry.state == "done"):
        schema = entry.record["schema"]
        if schema == SCHEMA:
            finished[entry.record["cell_id"]].append(entry)
        elif type(schema) is int and schema < SCHEMA:
            stale += 1
        else:
            problems[entry.run_id] = f"result.json is of schema {schema!r}, which this version does not know"
    done: list[Entry] = []
    cells: dict[str, dict[str, Any]] = {}
    known: dict[str, StoredCell] = {}
    for id, members in finished.items():
        try:
            cells[id], known[id] = _cell_of(store, id, members)
        except ValueError as error:
            problems |= {entry.run_id: f"config.yaml {error}" for entry in members}
            continue
        reasons = {entry.run_id: _reason(entry.record, known[id]) for entry in members}
        problems |= {run: reason for run, reason in reasons.items() if reason}
        done += [entry for entry in members if not reasons[entry.run_id]]
    store.remember()
    done.sort(key=lambda entry: entry.run_id)
    with_runs = {entry.record["cell_id"] for entry in done}
    return Stored(
        done,
        {id: stored for id, stored in cells.items() if id in with_runs},
        {id: cell for id, cell in known.items() if id in with_runs},
        stale,
        len(problems),
        [f"{store.folder / run} is left out: {reason}." for run, reason in sorted(problems.items())],
        frozenset(problems),
    )


def files_of(store: RunStore, cell: StoredCell, entry: Entry) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The learning curves and predictions of a run. Raises ValueError, with the reason, if they are not its own."""
    history = history_of(store, cell, entry.run_id)
    predictions = predictions_of(store, entry.run_id)
    try:
        check_scores(cell, entry.record, predictions)
    except ValueError as error:
        raise ValueError(f"{PREDICTIONS} {error}") from error
    return history, predictions


def history_of(store: RunStore, cell: StoredCell, run: str) -> pd.DataFrame:
    """The learning curves of a run. Raises ValueError, with the reason, for what are none."""
    try:
        return whole(lambda: store.history(run), lambda frame: check_history(frame, cell.measure.metric))
    except ValueError as error:
        raise ValueError(f"{HISTORY} {error}") from error


def predictions_of(store: RunStore, run: str) -> pd.DataFrame:
    """The predictions of a run. Raises ValueError, with the reason, for what are none."""
    try:
        return whole(lambda: store.predictions(run), check_predictions)
    except ValueError as error:
        raise ValueError(f"{PREDICTIONS} {error}") from error


def tested_of(store: RunStore, run: str) -> pd.DataFrame:
    """The graphs that a run was tested on. Raises ValueError, with the reason, if nobody can say."""
    try:
        return whole(lambda: store.tested(run), check_tested)
    except ValueError as error:
        raise ValueError(f"{PREDICTIONS} {error}") from error


def predictions_together(store: RunStore, runs: Mapping[str, int]) -> pd.DataFrame:
    """Those of several runs of a cell, with their seeds. runs: the seed of each.

    Raises ValueError, with a reason, if those of any are none.
    """
    try:
        key = ("seed", "part", "graph")
        return whole(lambda: store.predictions_together(runs), lambda frame: check_predictions(frame, key))
    except ValueError as error:
        raise ValueError(f"{PREDICTIONS} {error}") from error


def _cell_of(store: RunStore, id: str, members: list[Entry]) -> tuple[dict[str, Any], StoredCell]:
    """What is kept of a cell: what the run that was finished last says, if it makes sense.

    Raises ValueError, with the reason, if none of its runs says anything.
    """
    reasons = []
    latest_first = sorted(members, key=lambda entry: str(entry.record.get("finished", "")), reverse=True)
    # Again if it makes no sense: what the store knows from before may be damaged, and not the file.
    for entry, anew in product(latest_first, (False, True)):
        config = {key: value for key, value in store.config(entry.run_id, anew).items() if key != "seed"}
        try:
            return config, stored_cell(id, config)
        except StaleError:
            reasons.append("is of an older schema than result.json")
        except ValueError as error:
            reasons.append(str(error))
    raise ValueError(reasons[0])


def _reason(record: dict[str, Any], cell: StoredCell) -> str:
    """What is wrong with a record; nothing if it makes sense."""
    expected = {key: cell.config[key] for key in ALIKE} | {"dataset": cell.dataset, "metric": cell.measure.metric}
    for key, value in expected.items():
        if record[key] != value:
            return f"result.json has the {key} {record[key]!r}, config.yaml {value!r}"
    for name, value in record.items():
        if type(value) is int and abs(value) > LARGEST:
            return f"result.json has a number for {name} that is too large"
    if record["seed"] < 0:
        return f"result.json has the seed {record['seed']}"
    scores = ["train_loss", *(f"{part}_{name}" for part in ("val", "test") for name in ("loss", record["metric"]))]
    measures = [name for name in record if name.startswith(DIAGNOSTIC)]
    for name in measures:
        if not is_label(name) or f"test_{name.removeprefix(DIAGNOSTIC)}" in scores:
            return f"result.json has the measure {name!r}, the name of something else"
    for name in [*scores, *measures]:
        value = record.get(name)
        if value is None or type(value) not in (int, float):
            return f"result.json has no number for {name}"
        if name in scores and math.isnan(value):
            return f"result.json has a {name} that is not a number"
    if type(record.get("best_epoch", 1)) is not int:
        return f"result.json has the best epoch {record['best_epoch']!r}"
    return ""
