"""`rethinking export`: tidy data frames as CSV and Parquet."""

from pathlib import Path

from rethinking.analysis.export import export
from rethinking.analysis.tidy import read_some
from rethinking.runs.store import RunStore


def export_frames(folder: Path, runs: Path, results: Path) -> int:
    """Write them and say where. Returns the exit status."""
    for file in export(read_some(RunStore(runs), results), folder):
        print(file)
    return 0
