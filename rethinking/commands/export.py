"""`rethinking export`: tidy data frames as CSV and Parquet."""

from pathlib import Path

from rethinking.analysis.export import export
from rethinking.analysis.tidy import read_some
from rethinking.commands.left_out import tell
from rethinking.runs.store import RunStore


def export_frames(folder: Path, runs: Path, results: Path) -> int:
    """Write them and say where. Returns the exit status."""
    everything = read_some(RunStore(runs), results)
    for file in export(everything, folder):
        print(file)
    tell(everything.left_out)
    return 0
