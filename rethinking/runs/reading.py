"""The files of a finished run as text and data: what its record says, and whether the others are as it says."""

import hashlib
import json
from pathlib import Path
from typing import Any

from rethinking.runs.hashed import Hashed
from rethinking.runs.plain import read_plain
from rethinking.runs.record import check_head, checked

RESULT = "result.json"
CONFIG = "config.yaml"
HISTORY = "history.parquet"
FILES = (CONFIG, HISTORY)
PREDICTIONS = "predictions.parquet"
WEIGHTS = "weights.pt"
FAILED = "error.txt"


def read_result(run_id: str, path: Path, hashed: Hashed) -> dict[str, Any]:
    """The record in a run's directory. Raises ValueError, with the reason, if any of its files is damaged."""
    # Checked again, as an index is somebody's data, too.
    record = checked(hashed.content(path, RESULT, lambda file: _read_record(file, run_id)), run_id)
    needed = set(FILES) if record["schema"] == 1 else {*FILES, PREDICTIONS}
    if not isinstance(record["files"], dict) or not needed <= set(record["files"]) <= {*needed, WEIGHTS}:
        raise ValueError(f"{RESULT} does not name the other files")
    for name, expected in record["files"].items():
        if not hashed.holds(path, name, expected):
            raise ValueError(f"{name} is not as it was written")
    return record


def _read_record(path: Path, run_id: str) -> dict[str, Any]:
    """What a `result.json` says, without its checksum. Raises ValueError, with the reason, if it is damaged."""
    try:
        record = _read_json(path)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"result.json cannot be read: {error}") from error
    record = checked(record, run_id)
    if "sha256" in record and record.pop("sha256") != _record_sha256(record):
        raise ValueError("result.json is not as it was written")
    return record


def read_config(path: Path) -> Any:
    """What a `config.yaml` says, as data. Raises ValueError if it is none."""
    return read_plain(path.read_text(encoding="utf-8"))


def read_head(path: Path, run_id: str) -> dict[str, Any]:
    """What a file says of the cell of a run that is not finished; nothing if it is damaged."""
    try:
        record = _read_json(path)
        check_head(record, run_id)
    except (OSError, ValueError, RecursionError):
        return {}
    return record


def _read_json(path: Path) -> Any:
    """Raises ValueError for what is no JSON, and for text in it that no file or terminal takes: half a character."""
    content = json.loads(path.read_text(encoding="utf-8"))
    json.dumps(content, ensure_ascii=False).encode()
    return content


def sha256(path: Path) -> str:
    """The checksum of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def with_checksum(record: dict[str, Any]) -> str:
    """The text of a `result.json`."""
    return json.dumps({**record, "sha256": _record_sha256(record)}, indent=1)


def _record_sha256(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8, whatever the machine's language."""
    path.write_text(text, encoding="utf-8")
