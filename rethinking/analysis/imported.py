"""Adds the runs of somebody's store to a store of one's own. What the other holds is data: copied, checked, then moved.

Nothing is written before all is checked. Each run then gets its place whole; after a kill between two of them the same
command does the rest.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rethinking.analysis.stored import files_of, usable
from rethinking.data.scratch import scratch
from rethinking.errors import UserError
from rethinking.runs.foreign import RefusedError, check_table, copy_files
from rethinking.runs.identity import is_name
from rethinking.runs.reading import CONFIG, FAILED, HISTORY, PREDICTIONS, RESULT, WEIGHTS
from rethinking.runs.record import HEAD
from rethinking.runs.store import Entry, RunStore

FILES = "|".join(map(re.escape, (CONFIG, RESULT, HISTORY, PREDICTIONS, WEIGHTS, FAILED)))
# Beside its scores, what a run has that is the same in both stores if it is the same run.
CONTENT = (HISTORY, PREDICTIONS)


@dataclass
class Imported:
    """What became of an import.

    taken: runs that were new. known: those that were there with the same content. conflicts: sentences on those that
    were there with another; then nothing was taken. left_out: sentences on what cannot be used. failed, stale: how many
    runs of the other store failed, or are of an older schema. elsewhere: those that another process has here.
    """

    taken: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    failed: int = 0
    stale: int = 0
    elsewhere: list[str] = field(default_factory=list)


def import_store(source: Path, store: RunStore) -> Imported:
    """Add the finished runs of the store in `source`. Raises UserError if one of the two cannot be read or written."""
    made = Imported()
    store.check_writable()
    with _room(store.folder) as room:
        _copy(source, room, made)
        other = RunStore(room, anew=True)
        sound = list(_sound(source, other, made))
        for entry in sound:
            _sort_out(entry, other, store, made)
        if not made.conflicts:
            _take(room, {entry.run_id: entry for entry in sound}, store, made)
    return made


@contextmanager
def _room(folder: Path) -> Iterator[Path]:
    """Where files are copied first: on the disk on which they are to stay."""
    try:
        with scratch(folder / "import") as room:
            yield room
    except OSError as error:
        # A disk may fail on the other side, too.
        own = error.filename is None or Path(str(error.filename)).is_relative_to(folder)
        what = f"{folder}/ cannot be written" if own else f"{error.filename} cannot be read"
        raise UserError(f"{what} ({error.strerror}); no run was imported that is not whole.") from error


def _copy(source: Path, room: Path, made: Imported) -> None:
    """The files of all runs that did not fail."""
    for path in sorted(source.glob("[!.]*")):
        if path.is_symlink() or path.is_dir():
            try:
                if not is_name(path.name):
                    raise RefusedError("it is no name of a run")
                names = copy_files(path, room / path.name, FILES)
                for name in names:
                    check_table(room / path.name / name)
                if FAILED not in names:
                    continue
                made.failed += 1
            except RefusedError as error:
                made.left_out.append(_sentence(source, path.name, str(error)))
            except (PermissionError, FileNotFoundError) as error:
                if error.filename and Path(str(error.filename)).is_relative_to(room):
                    raise
                made.left_out.append(_sentence(source, path.name, f"it cannot be read ({error.strerror})"))
            shutil.rmtree(room / path.name, ignore_errors=True)


def _sound(source: Path, other: RunStore, made: Imported) -> Iterator[Entry]:
    """The runs of the copy all of whose files are as they were written, and fit together."""
    stored = usable(other)
    made.stale = stored.stale
    made.left_out += [sentence.replace(f"{other.folder}/", f"{source}/") for sentence in stored.problems]
    for entry in stored.done:
        extra = {path.name for path in (other.folder / entry.run_id).iterdir()} - {*entry.record["files"], RESULT}
        try:
            if extra:
                raise ValueError(f"{min(extra)} is not among the files that its record lists")
            files_of(other, stored.known[entry.record["cell_id"]], entry)
        except ValueError as error:
            made.left_out.append(_sentence(source, entry.run_id, str(error)))
            continue
        yield entry


def _sort_out(entry: Entry, other: RunStore, store: RunStore, made: Imported) -> None:
    """Whether a run is new here, is here already, or is here as another."""
    own = store.read(entry.run_id)
    if own.state != "done":
        made.taken.append(entry.run_id)
    elif _alike(own, store, entry, other):
        made.known.append(entry.run_id)
    else:
        made.conflicts.append(conflict(own.record, entry.record))


def conflict(own: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """A line on a run that is in both places, with another content in each."""
    score = f"test_{own['metric']}"
    what = f"{own['family']} / {own['variant']} / {own['dataset']}, seed {own['seed']}"
    here, there = own[score], other.get(score)
    scores = f"{score} {here!r} here, {there!r} there" if here != there else f"{score} {here!r} in both, other curves"
    return f"{own['run_id']} ({what}): {scores}"


def scores_alike(own: Mapping[str, Any], other: Mapping[str, Any], metric: str) -> bool:
    """Whether two records have the same scores; measures of clusters may have been taken later."""
    scores = ["train_loss", *(f"{part}_{name}" for part in ("val", "test") for name in ("loss", metric))]
    pairs = [(own.get(name), other.get(name)) for name in scores]
    return all(one == another or (one != one and another != another) for one, another in pairs)


def _alike(own: Entry, store: RunStore, entry: Entry, other: RunStore) -> bool:
    """Whether two runs of one id have the same scores, curves and predictions; whoever trained them, and when."""
    if not scores_alike(own.record, entry.record, own.record["metric"]):
        return False
    if all(own.record["files"].get(name) == entry.record["files"].get(name) for name in CONTENT):
        return True
    # Another version of the library may write the same otherwise.
    run = own.run_id
    return store.history(run).equals(other.history(run)) and store.predictions(run).equals(other.predictions(run))


def _take(room: Path, sound: Mapping[str, Entry], store: RunStore, made: Imported) -> None:
    """Move runs to their places, each while no other process has it."""
    with store.at_work():
        for run in list(made.taken):
            entry = sound[run]
            with store.claim(run, {key: entry.record[key] for key in HEAD}) as mine:
                # Another process may train it, or have finished it meanwhile.
                if mine and store.read(run).state != "done":
                    store.take(room / run)
                    continue
            made.taken.remove(run)
            made.elsewhere.append(run)


def _sentence(source: Path, run: str, reason: str) -> str:
    return f"{source / run} is left out: {reason}."
