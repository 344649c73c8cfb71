"""Where things lie: configuration, published values, raw files, cache, runs, results."""

import os
import re
from pathlib import Path
from typing import Any

import platformdirs

PACKAGE = Path(__file__).resolve().parent
CONF = PACKAGE / "conf"
PUBLISHED = PACKAGE / "analysis" / "published.csv"

DEFAULT_RUNS = Path("runs")
DEFAULT_RESULTS = Path("results")


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
