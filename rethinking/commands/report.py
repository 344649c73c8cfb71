"""`rethinking report`: one page of HTML with everything."""

from pathlib import Path

from rethinking.analysis.report import report, write_report
from rethinking.analysis.tidy import read_results
from rethinking.runs.store import RunStore


def write(path: Path, fidelity: str, runs: Path, results: Path) -> int:
    """Write the page and say where. Returns the exit status."""
    write_report("", path)  # Whether it can be written is known before the work.
    page = report(read_results(RunStore(runs), results), fidelity)
    write_report(page, path)
    print(f"{path}: {len(page.encode()) / 2**20:.1f} MiB; open it in a browser, it needs no network.")
    return 0
