"""Scorecards of operators, kept in a folder: a file of plain numbers each, written whole or not at all.

    KEY.json       the parts that were measured, run by run, what of, and a checksum
    KEY-PART.pt    where the run of a part is that goes on or was interrupted, see `snapshots.py`

A part is whole when it has all its runs, see `CardSettings.is_whole`. The key is a hash of the operator's configuration
and of the scorecard's settings. What is read is data: nothing that it names is imported or called.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rethinking.configuration.identity import canonical
from rethinking.errors import UserError
from rethinking.runs.locks import lock
from rethinking.runs.outcome import reason_of
from rethinking.runs.replacement import replaced_file
from rethinking.scorecard.card import Part, as_data, from_data
from rethinking.scorecard.settings import CardSettings

# Of what the files hold and how it is measured: numbers of another schema are measured anew.
SCHEMA = 2
LOCK, PATIENCE = ".lock", 60.0  # seconds that another process may take to write


class Scorecards:
    """Those in a folder. Nothing is created until something is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, key: str) -> tuple[dict[str, Part], str]:
        """The parts that are there by their names, and what is damaged, in one sentence."""
        path = self._path(key)
        try:
            return _parts(path.read_text(encoding="utf-8")), ""
        except FileNotFoundError:
            return {}, ""
        except (OSError, ValueError, RecursionError) as error:
            return {}, f"The scorecard {path} cannot be used ({error}); it is measured anew."

    def add(self, key: str, operator: Mapping[str, Any], parts: Mapping[str, Part]) -> None:
        """Write these parts beside those that are there, which another process may have added meanwhile.

        See `further` and `write`.
        """
        with self._alone():
            self.write(key, operator, further(self.read(key)[0], parts))

    def write(self, key: str, operator: Mapping[str, Any], parts: Mapping[str, Part]) -> None:
        """In the place of what was there, without parts that have a problem: these are tried again.

        operator: its configuration, for whoever reads the file. Raises UserError if it cannot be written.
        """
        data = {name: as_data(part) for name, part in parts.items() if not part.problem}
        whole = {"schema": SCHEMA, "operator": canonical(operator), "sha256": _sha256(data), "parts": data}
        path = self._path(key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replaced_file(path) as part:
                part.write_text(json.dumps(whole, allow_nan=False, separators=(",", ":")), encoding="utf-8")
        except OSError as error:
            raise _cannot_write(path, error) from error

    def unfinished(self, key: str, name: str) -> Path:
        """The file of where a part is that is measured now or was interrupted."""
        return self.folder / f"{key}-{name.replace('/', '-')}.pt"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Within it no other process adds a part.

        Raises UserError if one goes on doing so, or where nothing can be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with lock(self.folder / LOCK, PATIENCE) as mine:
                if not mine:
                    raise UserError(f"Another process is writing into {self.folder}/; try again when it is done.")
                yield
        except OSError as error:
            raise _cannot_write(self.folder, error) from error

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"


def further(parts: Mapping[str, Part], others: Mapping[str, Part]) -> dict[str, Part]:
    """All of them; of a part that both have, that with more runs, and of as many, the other."""
    kept = {name: part for name, part in parts.items() if name in others and part.runs > others[name].runs}
    return {**parts, **others, **kept}


def of_store(runs: Path) -> Scorecards:
    """Those of a run store."""
    return Scorecards(runs / ".scorecards")


def of_results(results: Path) -> Scorecards:
    """Those of a results folder."""
    return Scorecards(results / "scorecards")


def scorecard_key(operator: Mapping[str, Any], settings: CardSettings) -> str:
    """The name of the scorecard of an operator, by its configuration, with these settings."""
    text = json.dumps([SCHEMA, canonical(operator), canonical(asdict(settings))], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _cannot_write(path: Path, error: OSError) -> UserError:
    return UserError(f"{path} cannot be written ({reason_of(error)}); choose another place with runs=DIR.")


def _parts(text: str) -> dict[str, Part]:
    """Raises ValueError, with the reason, if it is not what was written."""
    whole = json.loads(text)
    if not isinstance(whole, dict) or whole.get("schema") != SCHEMA or not isinstance(whole.get("parts"), dict):
        raise ValueError(f"it is no scorecard of schema {SCHEMA}")
    if whole.get("sha256") != _sha256(whole["parts"]):
        raise ValueError("it is not as it was written")
    return {name: from_data(part) for name, part in whole["parts"].items()}


def _sha256(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
