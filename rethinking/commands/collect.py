"""`rethinking collect`: finished runs of a store into the tidy files of a results folder."""

from pathlib import Path

from rethinking.analysis.collect import collect
from rethinking.analysis.studies import collect_studies
from rethinking.commands.left_out import tell
from rethinking.runs.store import RunStore


def collect_runs(runs: Path, results: Path) -> int:
    """Add the runs and what was measured of operators, say how many there are and what was left out.

    Returns the exit status: 1 if something was.
    """
    parts = collect_studies(runs, results)
    if parts:
        print(f"{results}/ has the {parts} measurements of operators that are in {runs}/.")
        if not RunStore(runs).entries():
            return 0
    made = collect(RunStore(runs), results)
    tell(made.left_out)
    stale = f" {made.stale} in {runs}/ are of an older schema and were not added." if made.stale else ""
    print(f"{results}/ holds {made.runs} runs now.{stale}")
    return 1 if made.left_out else 0
