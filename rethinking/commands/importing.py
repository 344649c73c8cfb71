"""`rethinking import`: somebody's run store into one's own, or somebody's results into one's own."""

from pathlib import Path

from rethinking.analysis.imported import Imported, import_store
from rethinking.analysis.imported_results import import_results
from rethinking.analysis.integrity import is_results
from rethinking.commands.left_out import tell
from rethinking.errors import UserError
from rethinking.runs.store import RunStore

SHOWN = 20  # conflicts and damaged runs that are told one by one


def import_runs(source: Path, runs: Path, results: Path) -> int:
    """Add the runs of another folder to the one of the same kind here, and say what became of them.

    Returns the exit status: 0 all are here now, 1 some were refused, 3 some are in the hands of another process.
    """
    if not source.is_dir():
        raise UserError(f"{source}/ is no folder; name a run store or a results folder.")
    of_results = is_results(source)
    made = import_results(source, results) if of_results else import_store(source, RunStore(runs))
    folder = results if of_results else runs
    _tell(made.left_out)
    if made.conflicts:
        _tell(made.conflicts)
        counted = _count(len(made.conflicts), "run is", "runs are")
        tell([f"Nothing was imported: {counted} in {source}/ and in {folder}/ with different content."])
        return 1
    print(_in_words(made, source, folder))
    if of_results and made.taken:
        print("`make results`, or `rethinking table` and the like, render tables and figures with them.")
    return 1 if made.left_out else 3 if made.elsewhere else 0


def _in_words(made: Imported, source: Path, folder: Path) -> str:
    said = [f"{_count(len(made.taken), 'run', 'runs')} of {source}/ added to {folder}/"]
    said += [f"{len(made.known)} were there already"] if made.known else []
    said += [f"{len(made.left_out)} left out"] if made.left_out else []
    said += [f"{made.failed} had failed"] if made.failed else []
    said += [f"{made.stale} of an older schema count no more"] if made.stale else []
    said += [f"{len(made.elsewhere)} are in the hands of another process"] if made.elsewhere else []
    return f"{', '.join(said)}."


def _tell(sentences: list[str]) -> None:
    tell(sentences[:SHOWN])
    if len(sentences) > SHOWN:
        tell([f"… and {len(sentences) - SHOWN} more."])


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
