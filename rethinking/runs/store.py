"""The run store: one directory a run, written whole or not at all.

    RUN_ID/config.yaml          what was trained
    RUN_ID/result.json          one flat record: scores, provenance
    RUN_ID/history.parquet      a row an epoch
    RUN_ID/predictions.parquet  a row a graph of the validation and test parts (since schema 2)
    RUN_ID/weights.pt           the weights, if they were asked for (save_model=true)
    RUN_ID/error.txt            instead of a result, if the run failed
    .locks/                     held while a run trains; the system frees them when a process dies
    .tmp/                       where directories are written before they are renamed

Any number of processes may work on one store. What is read is data: nothing that it names is imported or called.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
import yaml
from filelock import FileLock, Timeout

from rethinking.errors import UserError
from rethinking.runs.identity import SCHEMA
from rethinking.runs.predictions import read_predictions, write_predictions
from rethinking.runs.record import HEAD, RunRecord, checked

State = Literal["done", "failed", "damaged", "running", "missing"]

FILES = ("config.yaml", "history.parquet")
PREDICTIONS = "predictions.parquet"
WEIGHTS = "weights.pt"


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
    """The runs below one folder. Nothing is created until something is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def check_writable(self) -> None:
        """Raises UserError if runs cannot be written here."""
        try:
            (self.folder / ".tmp").mkdir(parents=True, exist_ok=True)
            (self.folder / ".locks").mkdir(exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder / ".tmp").close()
        except OSError as error:
            raise UserError(
                f"The runs folder {self.folder} cannot be written ({error.strerror}); choose another with runs=DIR."
            ) from error

    def entry(self, run_id: str) -> Entry:
        """What is known of one run. Damaged records are described, never raised."""
        entry = self.read(run_id)
        if entry.state != "done" and self._is_locked(run_id):
            return Entry(run_id, "running", self._claimed(run_id))
        return entry

    def read(self, run_id: str) -> Entry:
        """What is on disk of one run, whoever may hold it."""
        path = self.folder / run_id
        if not path.is_dir():
            return Entry(run_id, "missing", {})
        try:
            if (path / "error.txt").is_file():
                return Entry(
                    run_id, "failed", _read_head(path), (path / "error.txt").read_text(errors="replace").strip()
                )
            return Entry(run_id, "done", _read_result(run_id, path))
        except (OSError, ValueError) as error:
            return Entry(run_id, "damaged", {}, str(error))

    def entries(self) -> list[Entry]:
        """All runs in the store, by id, those that only just train included."""
        names = {path.name for path in self.folder.glob("[!.]*") if path.is_dir()}
        names |= {path.stem for path in self.folder.glob(".locks/*.lock") if self._is_locked(path.stem)}
        return [self.entry(name) for name in sorted(names)]

    def history(self, run_id: str) -> pd.DataFrame:
        """The learning curves of a finished run, a row an epoch."""
        return pd.read_parquet(self.folder / run_id / "history.parquet")

    def predictions(self, run_id: str) -> pd.DataFrame:
        """The predictions of a finished run of schema 2, a row a graph; see `runs/predictions.py`."""
        return read_predictions(self.folder / run_id / PREDICTIONS)

    def config(self, run_id: str) -> dict[str, Any]:
        """What was trained in a finished run, as data; empty if it is none."""
        try:
            config = yaml.load((self.folder / run_id / "config.yaml").read_text(), yaml.CSafeLoader)
        except (OSError, ValueError, yaml.YAMLError):
            return {}
        return config if isinstance(config, dict) else {}

    @contextmanager
    def claim(self, run_id: str, head: dict[str, Any]) -> Iterator[bool]:
        """Hold a run while it trains. Yields False if another process holds it.

        head: what others are told of the run meanwhile.
        """
        lock = self._lock(run_id)
        try:
            # Not at once: a reader that looks whether a run trains holds its lock for a moment.
            lock.acquire(timeout=0.5, poll_interval=0.02)
        except Timeout:
            yield False
            return
        try:
            for leftover in (self.folder / ".tmp").glob(f"{run_id}.*"):
                shutil.rmtree(leftover, ignore_errors=True)
            _write_text(self.folder / ".locks" / f"{run_id}.json", json.dumps(head))
            yield True
        finally:
            lock.release()

    def weights(self, run_id: str) -> dict[str, torch.Tensor]:
        """The saved weights of a finished run, as the state of a network with one replica.

        Raises UserError if the run has none.
        """
        path = self.folder / run_id / WEIGHTS
        if not path.is_file():
            raise UserError(f"{path} does not exist; train with save_model=true to have it.")
        return torch.load(path, weights_only=True)

    def write_result(self, record: RunRecord) -> None:
        """Keep a finished run. What was under the same id gives way."""
        with self._written(record.head["run_id"]) as part:
            _write_text(part / "config.yaml", yaml.safe_dump(record.config, sort_keys=False))
            record.history.to_parquet(part / "history.parquet", index=False)
            write_predictions(record.predictions, part / PREDICTIONS)
            if record.weights is not None:
                torch.save(record.weights, part / WEIGHTS)
            written = sorted(path.name for path in part.iterdir())
            whole = {**record.result, "files": {name: _sha256(part / name) for name in written}}
            _write_text(part / "result.json", json.dumps({**whole, "sha256": _record_sha256(whole)}, indent=1))

    def write_failure(self, run_id: str, config: dict[str, Any], record: dict[str, Any], error: str) -> None:
        """Keep why a run failed."""
        with self._written(run_id) as part:
            _write_text(part / "config.yaml", yaml.safe_dump(config, sort_keys=False))
            _write_text(part / "result.json", json.dumps(record, indent=1))
            _write_text(part / "error.txt", error)

    @contextmanager
    def _written(self, run_id: str) -> Iterator[Path]:
        """A new directory, renamed to the run's own when all is in it."""
        part = Path(tempfile.mkdtemp(prefix=f"{run_id}.", dir=self.folder / ".tmp"))
        part.chmod(0o755)
        try:
            yield part
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        for file in part.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        target = self.folder / run_id
        if target.exists():
            target.rename(Path(tempfile.mkdtemp(prefix=f"{run_id}.", dir=self.folder / ".tmp")) / "old")
        part.rename(target)
        for leftover in (self.folder / ".tmp").glob(f"{run_id}.*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _lock(self, run_id: str) -> FileLock:
        return FileLock(self.folder / ".locks" / f"{run_id}.lock", mode=0o644)

    def _claimed(self, run_id: str) -> dict[str, Any]:
        """What the process that trains a run has said of it."""
        try:
            return _head(json.loads((self.folder / ".locks" / f"{run_id}.json").read_text()))
        except (OSError, ValueError):
            return {}

    def _is_locked(self, run_id: str) -> bool:
        """Whether a process holds a run. Looks through a shared lock, so that two readers do not see each other."""
        try:
            with (self.folder / ".locks" / f"{run_id}.lock").open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False


def _read_result(run_id: str, path: Path) -> dict[str, Any]:
    """The record in a run's directory. Raises ValueError, with the reason, if any of its files is damaged."""
    record = checked(json.loads((path / "result.json").read_text()), run_id)
    needed = set(FILES) if record["schema"] == 1 else {*FILES, PREDICTIONS}
    if not isinstance(record["files"], dict) or not needed <= set(record["files"]) <= {*needed, WEIGHTS}:
        raise ValueError("result.json does not name the other files")
    for name, expected in record["files"].items():
        if _sha256(path / name) != expected:
            raise ValueError(f"{name} is not as it was written")
    if "sha256" in record and record.pop("sha256") != _record_sha256(record):
        raise ValueError("result.json is not as it was written")
    return record


def _read_head(path: Path) -> dict[str, Any]:
    """What a failed run's record says of its cell; nothing if it is damaged."""
    try:
        return _head(json.loads((path / "result.json").read_text()))
    except (OSError, ValueError):
        return {}


def _head(record: Any) -> dict[str, Any]:
    whole = isinstance(record, dict) and all(key in record for key in HEAD)
    return record if whole else {}


def is_stale(entry: Entry) -> bool:
    """Whether a run was made under another schema version, so that no table may use it."""
    return entry.record.get("schema", SCHEMA) != SCHEMA


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _record_sha256(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
