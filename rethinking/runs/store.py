"""The run store: one directory a run, written whole or not at all.

    RUN_ID/config.yaml          what was trained
    RUN_ID/result.json          one flat record: scores, provenance
    RUN_ID/history.parquet      a row an epoch
    RUN_ID/predictions.parquet  a row a graph of the validation and test parts (since schema 2)
    RUN_ID/weights.pt           the weights, if they were asked for (save_model=true)
    RUN_ID/error.txt            instead of a result, if the run failed
    .hashed.json                which of these files have been checked before, and what they say, see `runs/hashed.py`
    .checkpoints/               states of groups that train, see `runs/checkpoints.py`
    .claims/                    which process holds which run while it trains, see `runs/holds.py`
    .workers/                   the processes at work, see `runs/workers.py`
    .tmp/                       where directories are written before they are renamed, see `runs/replacement.py`

Any number of processes may work on one store. What is read is data: nothing that it names is imported or called.
"""

import errno
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from rethinking.errors import UserError
from rethinking.runs.hashed import Hashed
from rethinking.runs.holds import Holds
from rethinking.runs.identity import SCHEMA, is_name
from rethinking.runs.plain import plain_text
from rethinking.runs.predictions import read_predictions, read_tested, read_together, write_predictions
from rethinking.runs.reading import (
    CONFIG,
    FAILED,
    HISTORY,
    PREDICTIONS,
    RESULT,
    WEIGHTS,
    read_config,
    read_head,
    read_result,
    sha256,
    with_checksum,
    write_text,
)
from rethinking.runs.record import DIAGNOSTIC, RunRecord
from rethinking.runs.replacement import OLD, current, recover, replaced, replaced_file
from rethinking.runs.workers import POLL, Worker, Workers

if TYPE_CHECKING:
    from torch import Tensor

State = Literal["done", "failed", "damaged", "running", "missing"]

GROUP_PATIENCE = 60.0  # seconds
BLOCK = 4096  # Bytes that a disk must have left.


@dataclass(frozen=True)
class Entry:
    """What the store has under a run's id.

    record: the flat record if the run is done, what is known of the cell if it failed.
    problem: why it failed, or what is damaged.
    """

    run_id: str
    state: State
    record: dict[str, Any]
    problem: str = ""


class RunStore:
    """The runs below one folder. Nothing is created until something is written.

    anew: check all files, whatever is known of them from before, and note nothing of it.
    """

    def __init__(self, folder: Path, anew: bool = False) -> None:
        self.folder = folder
        self.workers = Workers(folder)
        self._holds = Holds(folder, self.workers)
        self._hashed = Hashed(folder, anew)
        self._names: set[str] = set()
        self._worker: Worker | None = None
        self._opened = 0

    def check_writable(self) -> None:
        """Raises UserError if runs cannot be written here."""
        try:
            for folder in (self.folder, self._workshop):
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder) as file:
                    # A full disk still takes empty files.
                    file.write(bytes(BLOCK))
                    file.flush()
            self._holds.clear()
        except OSError as error:
            raise UserError(
                f"The runs folder {self.folder} cannot be written ({error.strerror}); choose another with runs=DIR."
            ) from error

    def entry(self, run_id: str) -> Entry:
        """What is known of one run. Damaged records are described, never raised."""
        entry = self.read(run_id)
        if entry.state != "done" and is_name(run_id) and self._holds.holder_at_work(run_id):
            return Entry(run_id, "running", read_head(self._holds.content(run_id), run_id))
        return entry

    def read(self, run_id: str) -> Entry:
        """What is on disk of one run, whoever may hold it."""
        if not is_name(run_id):
            return Entry(run_id, "damaged", {}, "this is no name of a run")
        problem = ""
        for _ in range(2):  # Again if it is damaged: another process may have replaced it meanwhile, or the index be.
            path = self._path(run_id)
            if not path.is_dir():
                return Entry(run_id, "missing", {})
            try:
                if (path / FAILED).is_file():
                    reason = (path / FAILED).read_text(errors="replace").strip()
                    return Entry(run_id, "failed", read_head(path / RESULT, run_id), reason)
                return Entry(run_id, "done", read_result(run_id, path, self._hashed))
            except (OSError, ValueError) as error:
                problem = str(error)
                self._hashed.forget(path, RESULT)
        return Entry(run_id, "damaged", {}, problem)

    def entries(self) -> list[Entry]:
        """All runs in the store, by id, those that only just train included."""
        names = {path.name for path in self.folder.glob("[!.]*") if path.is_dir()}
        names |= {path.stem for path in self._workshop.glob(f"*{OLD}")}
        names |= {name for name in self._holds.names() if is_name(name) and self._holds.holder_at_work(name)}
        entries = [self.entry(name) for name in sorted(names)]
        self._names = names
        self.remember()
        return entries

    def remember(self) -> None:
        """Note what was read of those that `entries` has found, so that no command reads it again."""
        self._hashed.keep(self._names)

    def history(self, run_id: str) -> pd.DataFrame:
        """The learning curves of a finished run, a row an epoch."""
        return pd.read_parquet(self._path(run_id) / HISTORY)

    def predictions(self, run_id: str) -> pd.DataFrame:
        """The predictions of a finished run of schema 2, a row a graph; see `runs/predictions.py`."""
        return read_predictions(self._path(run_id) / PREDICTIONS)

    def tested(self, run_id: str) -> pd.DataFrame:
        """Which graphs a finished run of schema 2 was tested on, a column `graph`."""
        return read_tested(self._path(run_id) / PREDICTIONS)

    def predictions_together(self, runs: Mapping[str, int]) -> pd.DataFrame:
        """Those of several runs of a cell, with their seeds. runs: the seed of each."""
        return read_together({seed: self._path(run) / PREDICTIONS for run, seed in runs.items()})

    def config(self, run_id: str, anew: bool = False) -> dict[str, Any]:
        """What was trained in a finished run, as data; empty if it is none. anew: whatever is known from before."""
        try:
            if anew:
                self._hashed.forget(self._path(run_id), CONFIG)
            config = self._hashed.content(self._path(run_id), CONFIG, read_config)
        except (OSError, ValueError):
            return {}
        return config if isinstance(config, dict) else {}

    @contextmanager
    def at_work(self) -> Iterator[Worker]:
        """While open, others see that this process works on the store. May be opened again within.

        Raises OSError if nothing can be written.
        """
        if self._worker is None:
            self._worker = Worker(self.folder).__enter__()
        self._opened += 1
        try:
            yield self._worker
        finally:
            self._opened -= 1
            if not self._opened:
                worker, self._worker = self._worker, None
                worker.__exit__()

    @contextmanager
    def claim(self, run_id: str, head: dict[str, Any]) -> Iterator[bool]:
        """Hold a run while it trains. Yields False if another process holds it.

        head: what others are told of the run meanwhile. Raises OSError if it cannot be held.
        """
        with self.at_work() as worker:
            mine = self._holds.take(run_id, worker.name, json.dumps(head))
            try:
                if mine:
                    recover(self.folder / run_id, self._workshop)
                    _check_replaceable(self.folder / run_id)
                yield mine
            finally:
                if mine:
                    self._holds.release(run_id, worker.name)

    def is_mine(self, run_id: str) -> bool:
        """Whether a run that was claimed still is. Another host may have taken a process that was silent for dead."""
        return self._worker is not None and self._holds.holds(run_id, self._worker.name)

    def will_be_left(self, run_id: str) -> bool:
        """Whether a run that another process holds is free, or its holder dead. Watched until it is known."""
        holder = self._holds.holder(run_id)
        return not holder or self.workers.is_dead_at_last(holder)

    @contextmanager
    def alone(self, cell_id: str) -> Iterator[None]:
        """While open, other processes wait to claim runs of the cell, so that the runs of a group go to one of them."""
        name, deadline = f"{cell_id}.cell", time.monotonic() + GROUP_PATIENCE
        with ExitStack() as stack:
            # Where nothing can be held, groups may be torn apart; runs are still held one by one.
            with suppress(OSError):
                worker = stack.enter_context(self.at_work())
                while not self._holds.take(name, worker.name, "") and time.monotonic() < deadline:
                    time.sleep(POLL)
                stack.callback(self._holds.release, name, worker.name)
            yield

    def weights(self, run_id: str) -> dict[str, "Tensor"]:
        """The saved weights of a finished run, as the state of a network with one replica.

        Raises UserError if the run has none.
        """
        # Late, here and below: importing torch takes longer than all that a table or `rethinking status` does.
        from rethinking.runs.weights import read_weights

        return read_weights(self._path(run_id) / WEIGHTS)

    def write_result(self, record: RunRecord) -> None:
        """Keep a finished run. What was under the same id gives way, when all is written.

        Raises OSError if it cannot be written, on a full disk, say.
        """
        with self._written(record.head["run_id"]) as part:
            write_text(part / CONFIG, plain_text(record.config))
            record.history.to_parquet(part / HISTORY, index=False)
            write_predictions(record.predictions, part / PREDICTIONS)
            if record.weights is not None:
                from rethinking.runs.weights import write_weights

                write_weights(record.weights, part / WEIGHTS)
            written = sorted(path.name for path in part.iterdir())
            whole = {**record.result, "files": {name: sha256(part / name) for name in written}}
            write_text(part / RESULT, with_checksum(whole))

    def take(self, written: Path) -> None:
        """Give a run that lies in a directory elsewhere, whole and checked, its place here; its files are moved.

        Raises OSError if they cannot be.
        """
        with self._written(written.name) as part:
            for file in sorted(written.iterdir()):
                file.rename(part / file.name)

    def write_failure(self, run_id: str, config: dict[str, Any], record: dict[str, Any], error: str) -> None:
        """Keep why a run failed; not in the place of a finished one. Raises OSError if it cannot be written."""
        if self.read(run_id).state == "done":
            return
        with self._written(run_id) as part:
            write_text(part / CONFIG, plain_text(config))
            write_text(part / RESULT, json.dumps(record, indent=1))
            write_text(part / FAILED, error)

    def write_diagnostics(self, run_id: str, measures: dict[str, float], provenance: dict[str, Any]) -> None:
        """Put measures of a finished run's clusters into its record, in the place of those it has; the rest stays.

        provenance: what changes in the record beside them. Raises OSError if it cannot be written, UserError if the
        run is not finished or cannot be read.
        """
        entry = self.read(run_id)
        if entry.state != "done":
            raise UserError(f"the run {run_id} is {entry.state}{entry.problem and f' ({entry.problem})'}")
        record = {key: value for key, value in entry.record.items() if not key.startswith(DIAGNOSTIC)}
        measured = {f"{DIAGNOSTIC}{name}": value for name, value in measures.items()}
        with replaced_file(self._path(run_id) / RESULT, self._workshop) as part:
            write_text(part, with_checksum({**record, **measured, **provenance}))

    def _written(self, run_id: str) -> AbstractContextManager[Path]:
        """A new directory, which gets the run's own place when all is in it."""
        return replaced(self.folder / run_id, self._workshop)

    def _path(self, run_id: str) -> Path:
        """Where a run lies. Raises ValueError if it is none's id."""
        if not is_name(run_id):
            raise ValueError(f"{run_id!r} is no id of a run")
        return current(self.folder / run_id, self._workshop)

    @property
    def _workshop(self) -> Path:
        return self.folder / ".tmp"


def _check_replaceable(path: Path) -> None:
    """Raises PermissionError if a run's directory is another user's: before it is trained, not when it is written."""
    if path.is_dir() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def is_stale(entry: Entry) -> bool:
    """Whether a run was made under another schema version, so that no table may use it."""
    return entry.record.get("schema", SCHEMA) != SCHEMA
