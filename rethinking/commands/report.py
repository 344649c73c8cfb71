"""`rethinking report`: one page of HTML with everything."""

from pathlib import Path

from rethinking.analysis.report import check_place, report, write_report
from rethinking.analysis.tidy import read_some
from rethinking.commands.left_out import tell
from rethinking.runs.store import RunStore


def write(path: Path, fidelity: str, runs: Path, results: Path) -> int:
    """Write the page and say where. Returns the exit status."""
    check_place(path)  # Whether it can be written is known before the work.
    everything = read_some(RunStore(runs), results)
    page = report(everything, fidelity)
    write_report(page, path)
    print(f"{path}: {len(page.encode()) / 2**10:.0f} KiB; open it in a browser, it needs no network.")
    tell(everything.left_out)
    return 0
