"""Adds the runs of somebody's results folder to a results folder of one's own, as a whole or not at all.

What the other holds is data: its files are copied first, then held against its manifest, then looked into.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pandas as pd

from rethinking.analysis.cells import StaleError, StoredCell, stored_cell
from rethinking.analysis.checking import check_scores
from rethinking.analysis.collected import Collected
from rethinking.analysis.imported import Imported, conflict, scores_alike
from rethinking.analysis.manifest import KINDS, MANIFEST, SCORECARDS, TABLES
from rethinking.analysis.merged import Added, CellFiles, put_together, undamaged, united_frames
from rethinking.analysis.replacing import locked, put_in_place
from rethinking.data.scratch import scratch
from rethinking.errors import UserError
from rethinking.runs.foreign import RefusedError, check_table, copy_file, copy_files
from rethinking.runs.predictions import compact

NAMES = r"[0-9A-Za-z_-]+\.(parquet|json)"
# A cell's learning curves and predictions; None where there are none.
Frames = tuple[pd.DataFrame | None, pd.DataFrame | None]


def import_results(source: Path, folder: Path) -> Imported:
    """Add the runs of the results in `source`.

    Raises UserError if one of the two is damaged, or cannot be read or written; the folder then stays as it is.
    """
    made = Imported()
    with locked(folder), _room(folder) as room:
        put_in_place(folder)
        before = undamaged(folder, "imported")
        other = _copied(source, room)
        ours = _scores(before)
        added = _Adding(other, before)
        for id, runs in other.runs.groupby("cell_id"):
            try:
                cell = stored_cell(str(id), other.cells.get(str(id)))
            except StaleError:
                made.stale += runs["run_id"].nunique()
                continue
            except ValueError as error:
                made.left_out.append(f"{source}/cells.yaml: the entry {id} {error}; its runs are left out.")
                continue
            _add_cell(cell, source, added, ours, made)
        if made.taken and not made.conflicts:
            put_together(folder, before, added.whole(made.taken))
    return made


@contextmanager
def _room(folder: Path) -> Iterator[Path]:
    """Where the other's files are copied. Raises UserError if there is no such place."""
    try:
        opened = ExitStack()
        room = opened.enter_context(scratch(folder / "import"))
    except OSError as error:
        raise UserError(f"Nothing was imported. {folder}/ cannot be written: {error.strerror or error}.") from error
    with opened:
        yield room


class _Adding:
    """What is added, cell by cell."""

    def __init__(self, other: Collected, before: Collected) -> None:
        self.other = other
        self.before = before
        self.scores = _scores(other)
        self.new: dict[str, tuple[dict[int, pd.DataFrame], dict[int, pd.DataFrame]]] = defaultdict(lambda: ({}, {}))
        self.frames: dict[str, Frames] = {}

    def whole(self, taken: list[str]) -> Added:
        """What these runs are added as."""
        of_runs = [frame[frame["run_id"].isin(taken)] for frame in (self.other.runs, self.other.provenance)]
        files = {
            id: CellFiles(
                united_frames(self.frames[id][0], new[0], ["epoch"]),
                united_frames(self.frames[id][1], new[1], ["part", "graph"]),
            )
            for id, new in self.new.items()
        }
        # Of a cell that is known, what is known of it stays.
        cells = {id: self.other.cells[id] for id in self.new if id not in self.before.cells}
        return Added(of_runs[0], of_runs[1], cells, files)


def _copied(source: Path, room: Path) -> Collected:
    """The results in a copy of somebody's folder. Raises UserError if they are not as they were collected."""
    try:
        for name in (MANIFEST, *TABLES):
            copy_file(source, name, room / name)
        for kind in (*KINDS, SCORECARDS):
            if (source / kind).exists():
                for name in copy_files(source / kind, room / kind, NAMES):
                    check_table(room / kind / name)
        other = undamaged(room, "imported")
        for path in (path for kind in KINDS for path in (room / kind).glob("*")):
            if f"{path.parent.name}/{path.name}" not in (other.manifest or {}):
                raise RefusedError(f"{MANIFEST} does not list {path.parent.name}/{path.name}")
    except UserError as error:
        raise UserError(str(error).replace(f"{room}/", f"{source}/")) from error
    except (RefusedError, OSError) as error:
        reason = (
            f"{error.filename or 'it'} cannot be copied ({error.strerror})"
            if isinstance(error, OSError)
            else str(error)
        )
        raise UserError(f"Nothing was imported. {source}/ cannot be used: {reason}.") from error
    return other


def _add_cell(cell: StoredCell, source: Path, added: _Adding, ours: Mapping[str, dict], made: Imported) -> None:
    """Sort out the runs of a cell: new, known, in conflict, or left out."""
    metric = cell.measure.metric
    own = added.before.cells.get(cell.id)
    if own is not None and stored_cell(cell.id, own).measure != cell.measure:
        made.left_out.append(f"{source}/cells.yaml: the entry {cell.id} has another measure; its runs are left out.")
        return
    here: Frames = (added.before.history(cell.id, metric), added.before.predictions(cell.id))
    try:
        there: Frames = (added.other.history(cell.id, metric), added.other.predictions(cell.id))
    except UserError as error:
        made.left_out.append(str(error).replace(f"{added.other.folder}/", f"{source}/"))
        return
    added.frames[cell.id] = here
    for run, record in added.scores.items():
        if record["cell_id"] != cell.id:
            continue
        frames = [_of_seed(frame, record["seed"]) for frame in there]
        try:
            _check(cell, record, frames)
        except ValueError as error:
            made.left_out.append(f"{source}: the run {run} is left out: it {error}.")
            continue
        if run not in ours:
            made.taken.append(run)
            for kept, frame in zip(added.new[cell.id], frames, strict=True):
                if frame is not None:
                    kept[record["seed"]] = frame
        elif _alike(ours[run], record, metric, [_of_seed(frame, record["seed"]) for frame in here], frames):
            made.known.append(run)
        else:
            made.conflicts.append(conflict({**ours[run], "metric": metric}, record))


def _check(cell: StoredCell, record: Mapping, frames: list[pd.DataFrame | None]) -> None:
    """Raises ValueError, with the reason, if something lacks or the predictions do not give the scores."""
    if cell.older:
        return
    history, predictions = frames
    if history is None or predictions is None:
        raise ValueError("has no learning curve or no predictions")
    lacking = [name for part in ("val", "test") if (name := f"{part}_{cell.measure.metric}") not in record]
    if lacking:
        raise ValueError(f"has no {lacking[0]}")
    check_scores(cell, dict(record), predictions)


def _alike(
    own: Mapping, other: Mapping, metric: str, here: list[pd.DataFrame | None], there: list[pd.DataFrame | None]
) -> bool:
    """Whether two runs of one id have the same scores, learning curves and predictions."""
    same = scores_alike(own, other, metric)
    return same and all(_equal(one, another) for one, another in zip(here, there, strict=True))


def _equal(one: pd.DataFrame | None, other: pd.DataFrame | None) -> bool:
    """In the precision in which results are kept."""
    if one is None or other is None:
        return one is other
    first, second = (
        compact(frame).reset_index(drop=True) if "part" in frame else frame.reset_index(drop=True)
        for frame in (one, other)
    )
    return first.equals(second[list(first)]) if set(first) == set(second) else False


def _of_seed(frame: pd.DataFrame | None, seed: int) -> pd.DataFrame | None:
    if frame is None:
        return None
    own = frame[frame["seed"] == seed].drop(columns="seed")
    return None if own.empty else own


def _scores(results: Collected) -> dict[str, dict]:
    """The names and scores of each run, flat, by its id."""
    records: dict[str, dict] = {}
    rows = results.runs
    for row in rows.to_dict("records"):
        record = records.setdefault(
            row["run_id"], {key: row[key] for key in ("run_id", "cell_id", "family", "variant")}
        )
        record |= {"dataset": row["dataset"], "seed": int(row["seed"]), f"{row['split']}_{row['metric']}": row["value"]}
    return records
