"""`rethinking reproduce`: train what a table or figure of the paper still lacks, then render it."""

from collections.abc import Sequence
from pathlib import Path

from rethinking.analysis.studies import study_names
from rethinking.analysis.suites import Suite, load_suite
from rethinking.commands.figure import write_figures
from rethinking.commands.run import main as run
from rethinking.commands.study import measure_and_print, store_of
from rethinking.commands.table import print_tables
from rethinking.configuration.cell import PAPER
from rethinking.configuration.settings import OTHER_CELLS
from rethinking.paths import DEFAULT_FIGURES, DEFAULT_RUNS


def reproduce(name: str, overrides: Sequence[str], results: Path) -> int:
    """Train the missing seeds of a suite, print its table and draw its figure. Returns the training's exit status.

    Of a study what is missing is measured.
    """
    if name in study_names():
        status = measure_and_print(name, overrides, results)
        write_figures([name], PAPER, DEFAULT_FIGURES, store_of(name, overrides), results)
        return status
    suite = load_suite(name)
    given = dict(word.partition("=")[::2] for word in overrides)  # The last one holds, as for `rethinking run`.
    runs, fidelity = given.get("runs", str(DEFAULT_RUNS)), given.get("fidelity", PAPER)
    status = run([f"suite={suite.name}", *overrides])
    store = Path(runs).expanduser()
    others = [word for word in overrides if word.startswith(OTHER_CELLS) or _elsewhere(word, suite)]
    if others:
        print(f"Trained with {' '.join(others)}: these are other cells than those below; `rethinking status` has them.")
    print_tables([suite.label], "screen", fidelity, store, results)
    if suite.figure:
        write_figures([suite.figure], fidelity, DEFAULT_FIGURES, store, results)
    return status


def _elsewhere(word: str, suite: Suite) -> bool:
    """Whether an override chooses a data set that the suite has no column for."""
    key, _, names = word.partition("=")
    return key == "dataset" and not set(names.split(",")) <= suite.columns.keys()
