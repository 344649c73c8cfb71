"""`rethinking reproduce`: train what a table or figure of the paper still lacks, then render it."""

from collections.abc import Sequence
from pathlib import Path

from rethinking.analysis.suites import Suite, load_suite
from rethinking.commands.figure import FIGURES, write_figures
from rethinking.commands.run import main as run
from rethinking.commands.table import print_tables

# What makes other cells than those of a table.
OTHER_CELLS = ("model.", "pooling.", "dataset.", "tasks.", "trainer.", "fidelity.", "splits=")


def reproduce(name: str, overrides: Sequence[str], results: Path) -> int:
    """Train the missing seeds of a suite, print its table and draw its figure. Returns the training's exit status."""
    suite = load_suite(name)
    runs = next((word.partition("=")[2] for word in overrides if word.startswith("runs=")), "runs")
    fidelity = next((word.partition("=")[2] for word in overrides if word.startswith("fidelity=")), "paper")
    status = run([f"suite={suite.name}", *overrides])
    store = Path(runs).expanduser()
    others = [word for word in overrides if word.startswith(OTHER_CELLS) or _elsewhere(word, suite)]
    if others:
        print(f"Trained with {' '.join(others)}: these are other cells than those below; `rethinking status` has them.")
    print_tables([suite.label], "screen", fidelity, store, results)
    if suite.figure:
        write_figures([suite.figure], fidelity, FIGURES, store, results)
    return status


def _elsewhere(word: str, suite: Suite) -> bool:
    """Whether an override chooses a data set that the suite has no column for."""
    key, _, names = word.partition("=")
    return key == "dataset" and not set(names.split(",")) <= suite.columns.keys()
