"""What all measurements share: one core, its conditions beside every figure, and tables that are kept as CSV."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from rethinking.operators import use_threads
from rethinking.runs.provenance import hardware
from rethinking.training.memory import keep_freed_memory

# Beside what `rethinking collect` writes, which leaves other folders alone.
BENCHMARKS = Path("results") / "benchmarks"


def use_one_core() -> None:
    """Let this process run on one core, with one thread, as a training with threads=1 does."""
    use_threads(1)
    keep_freed_memory()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def conditions() -> dict[str, Any]:
    """The machine, its load now, the versions and the date: columns of every row."""
    return {
        "device": hardware(torch.device("cpu"))["device_name"],
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "measured": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def keep(rows: Sequence[dict[str, Any]], file: Path, keys: Sequence[str]) -> pd.DataFrame:
    """Write rows to a CSV file, those with the same keys in the place of what was there. Returns all that it has."""
    known = pd.read_csv(file) if file.is_file() else pd.DataFrame()
    together = pd.concat([known, pd.DataFrame(rows)]).drop_duplicates(list(keys), keep="last")
    together = together.sort_values(list(keys), kind="stable")
    file.parent.mkdir(parents=True, exist_ok=True)
    together.to_csv(file, index=False)
    return together


def seconds(work: Callable[[], object]) -> float:
    """How long this process works on something: of one thread, the same as its time on a machine that is left to it."""
    started = time.process_time()
    work()
    return time.process_time() - started
