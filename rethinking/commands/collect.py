"""`rethinking collect`: finished runs of a store into the tidy files of a results folder."""

from pathlib import Path

from rethinking.analysis.collect import collect
from rethinking.errors import UserError
from rethinking.runs.store import RunStore


def collect_runs(runs: Path, results: Path) -> int:
    """Add the runs and say how many there are. Returns the exit status."""
    store = RunStore(runs)
    if not any(entry.state == "done" for entry in store.entries()):
        raise UserError(f"There are no finished runs in {runs}/; name another store with --runs.")
    total = collect(store, results)
    print(f"{results}/ holds {total} runs now.")
    return 0
