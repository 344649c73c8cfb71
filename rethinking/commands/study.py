"""Studies as suites: measures what a run store lacks of them, and prints their tables."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rethinking import paths
from rethinking.analysis.scorecards import problems
from rethinking.analysis.studies import load_study
from rethinking.commands.run import ALL_DONE, SOME_FAILED
from rethinking.commands.scorecard import Measuring
from rethinking.commands.table import print_tables
from rethinking.configuration.cell import PAPER
from rethinking.errors import UserError
from rethinking.scorecard.card import part_name


def measure_and_print(name: str, words: Sequence[str], results: Path) -> int:
    """Measure what a run store lacks of a study, then print its tables. Returns the exit status.

    words: runs=DIR or nothing.
    """
    store = store_of(name, words)
    complete = _measure(name, store)
    print_tables([name], "screen", PAPER, store, results)
    return ALL_DONE if complete else SOME_FAILED


def store_of(name: str, words: Sequence[str]) -> Path:
    """The run store that is named in the words of a command line. Raises UserError for any other word."""
    for word in words:
        if not word.startswith("runs="):
            raise UserError(
                f"{word} does not go with {name}, which is measured with the numbers of conf/scorecard.yaml; expected "
                "runs=DIR or nothing."
            )
    return Path(words[-1].partition("=")[2]).expanduser() if words else paths.DEFAULT_RUNS


def _measure(name: str, store: Path) -> bool:
    """Measure what a store lacks of a study, graph after graph, and say what cannot be had.

    Each part is kept as soon as it is measured. Returns whether all is there.
    """
    study = load_study(name)
    measuring = Measuring(study.size)
    failed: list[str] = []
    for graph in study.graphs:
        for operator in study.operators:
            said = problems([measuring.card(operator, [part_name(study.part, graph)], store)])
            for sentence in said:
                print(sentence, file=sys.stderr, flush=True)
            failed += said
    return not failed
