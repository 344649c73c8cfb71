"""The manifest of a results folder: rows and SHA-256 of every file, so that what is cut or altered is noticed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rethinking.runs.identity import is_name
from rethinking.runs.plain import plain_text, read_plain

MANIFEST = "manifest.yaml"
RUNS, PROVENANCE, CELLS = TABLES = ("runs.csv", "provenance.csv", "cells.yaml")
# The folders of files that it lists: those with a file a cell, and that with one an operator.
KINDS = HISTORIES, PREDICTIONS = ("histories", "predictions")
SCORECARDS = "scorecards"
HEADER = (
    "# Rows and SHA-256 of every file of data here: written by `rethinking collect`, checked by `rethinking verify`.\n"
    "# Whoever changes a file on purpose deletes this one; the next collect takes the files as they are.\n"
)


@dataclass(frozen=True)
class Listed:
    """What the manifest says of a file. rows: of a table; of `cells.yaml` its cells, of a scorecard its parts."""

    rows: int
    sha256: str


# By the file's path in the folder.
Manifest = dict[str, Listed]


def listed(content: bytes, rows: int) -> Listed:
    """The entry of a file."""
    return Listed(rows, hashlib.sha256(content).hexdigest())


def listed_scorecard(path: Path) -> Listed:
    """The entry of a file of scorecards. Raises OSError or ValueError if it cannot be read."""
    content = path.read_bytes()
    try:
        return listed(content, len(json.loads(content)["parts"]))
    except (LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"is no scorecard ({type(error).__name__} {error})") from error


def read_manifest(folder: Path) -> Manifest | None:
    """What a folder's manifest lists; None if there is none. Raises ValueError, with the reason, if it is damaged."""
    try:
        entries = read_plain((folder / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(entries, Mapping) or not entries:
            raise ValueError("it lists nothing")
        if lacking := [name for name in TABLES if name not in entries]:
            raise ValueError(f"it does not list {lacking[0]}")
        return {_inside(name): Listed(int(entry["rows"]), str(entry["sha256"])) for name, entry in entries.items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(" ".join(str(error).split())[:200]) from error


def manifest_text(manifest: Manifest) -> str:
    """What stands in the file."""
    return HEADER + plain_text({name: asdict(entry) for name, entry in sorted(manifest.items())})


def remedy(folder: Path) -> str:
    """What to do about a file that is not as it was collected."""
    return f"restore it, or delete {folder / MANIFEST} to take the files as they are"


def _inside(name: str) -> str:
    """A path of the manifest: a file here or in one folder below, of plain names."""
    stem, _, kind = name.rpartition(".")
    if kind not in ("csv", "yaml", "parquet", "json") or stem.count("/") > 1 or not all(map(is_name, stem.split("/"))):
        raise ValueError(f"it lists {name!r}, which is no file of results")
    return name
