"""`rethinking reproduce`: train what a table or figure of the paper still lacks, then render it."""

from collections.abc import Sequence
from pathlib import Path

from rethinking.analysis.suites import load_suite
from rethinking.commands.run import main as run
from rethinking.commands.table import print_tables


def reproduce(name: str, overrides: Sequence[str], results: Path) -> int:
    """Train the missing seeds of a suite, and print its table. Returns the exit status of the training."""
    suite = load_suite(name)
    runs = next((word.partition("=")[2] for word in overrides if word.startswith("runs=")), "runs")
    fidelity = next((word.partition("=")[2] for word in overrides if word.startswith("fidelity=")), "paper")
    status = run([f"suite={suite.name}", *overrides])
    print_tables([suite.table], "screen", fidelity, Path(runs).expanduser(), results)
    return status
