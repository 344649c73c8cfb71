"""Where things lie: configuration, published values, raw files, cache, runs, results."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import platformdirs

from rethinking.errors import UserError

PACKAGE = Path(__file__).resolve().parent
CONF = PACKAGE / "conf"
PUBLISHED = PACKAGE / "analysis" / "published.csv"

DEFAULT_RUNS = Path("runs")
DEFAULT_RESULTS = Path("results")
DEFAULT_CHECKS = Path("checks")  # Runs and scorecards of `rethinking check`.
DEFAULT_FIGURES = Path("figures")
NONE = "none"  # In place of a folder that is read: none.
# The project's own results, which come with it: a link in a checkout, a folder without predictions where installed.
REFERENCE = PACKAGE / "reference"


def results_to_show(runs: Path) -> Path:
    """The results folder that is shown where none is named: the one that lies here.

    Where a person has nothing of his own, neither that nor a run store here or named, the reference runs.
    """
    # A training that stopped before its first run was done leaves a folder without any.
    has_runs = DEFAULT_RUNS.is_dir() and any(not path.name.startswith(".") for path in DEFAULT_RUNS.iterdir())
    own = runs != DEFAULT_RUNS or has_runs or DEFAULT_RESULTS.exists()
    return DEFAULT_RESULTS if own else REFERENCE


_OWN: ContextVar[Path | None] = ContextVar("own", default=None)


def configuration() -> tuple[Path, ...]:
    """The folders with configuration files: the project's, then the user's own, if there is one."""
    own = _OWN.get()
    return (CONF, own) if own else (CONF,)


@contextmanager
def own_configuration(folder: str | Path | None) -> Iterator[None]:
    """Within it, configuration files are also looked for in this folder (`--config-dir`); None changes nothing.

    Raises UserError if there is no such folder, or a file of it has the place and name of one of the project's.
    """
    if folder is None:
        yield
        return
    own = Path(folder).expanduser().absolute()
    if not own.is_dir():
        raise UserError(f"--config-dir {folder}: there is no such folder.")
    for file in CONF.rglob("*.yaml"):
        path = own / file.relative_to(CONF)
        if path.exists() and not path.samefile(file):
            raise UserError(f"{path} has the name of a file of the project, which would be taken instead; rename it.")
    before = _OWN.set(own)
    try:
        yield
    finally:
        _OWN.reset(before)


def mirror(configured: str | None) -> Path | None:
    """The folder with raw files: `data.mirror`, else the environment's RETHINKING_DATA, else none."""
    chosen = configured or os.environ.get("RETHINKING_DATA")
    return Path(chosen).expanduser() if chosen else None


def cache(configured: str | None) -> Path:
    """The folder for downloads and processed data: `data.cache`, else RETHINKING_CACHE, else the user's cache."""
    chosen = configured or os.environ.get("RETHINKING_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("rethinking"))


def is_component(text: Any) -> bool:
    """Whether something that was given can name one file or folder, and lead nowhere else."""
    return isinstance(text, str) and re.fullmatch(r"\w[\w .+-]*", text) is not None
