"""`rethinking table`: tables of the paper from finished runs."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pandas as pd
from rich.console import Console

from rethinking import paths
from rethinking.analysis.leaderboard import leaderboard, leaderboard_notes, leaderboard_texts, summary
from rethinking.analysis.long_comparisons import csv
from rethinking.analysis.render import on_screen, prose, render
from rethinking.analysis.studies import Outcome, load_study, outcome, study_names
from rethinking.analysis.suites import Suite, load_suite, suite_names, table_names
from rethinking.analysis.tables import (
    caption,
    hyperparameter_tables,
    hyperparameters,
    long_frame,
    make_table,
    missing_cells,
    table_texts,
)
from rethinking.analysis.tidy import Results, read_results
from rethinking.commands.data import statistics
from rethinking.commands.left_out import tell
from rethinking.data.sources import Places
from rethinking.errors import UserError
from rethinking.runs.store import RunStore

STATISTICS = "S1"
STATISTICS_TITLE = "Table S1: statistics of the data sets"


def print_tables(names: Sequence[str], form: str, fidelity: str, runs: Path, results: Path) -> int:
    """Print tables in one of the forms of `render`. Returns the exit status."""
    known = sorted([*table_names(), STATISTICS, *hyperparameter_tables()])
    studies, suites = study_names(), suite_names()
    for name in names:
        if name not in (*known, *suites, *studies):
            others = ", ".join([*(suite for suite in suites if not load_suite(suite).table), *studies])
            raise UserError(f"There is no table '{name}'; expected one of {', '.join(known)}, or of {others}.")
    read = cache(lambda: read_results(RunStore(runs), results))  # All runs take seconds; some tables have none.
    for number, name in enumerate(names):
        if number and form != "csv":
            print()
        if name in studies:
            _print_study(outcome(load_study(name), runs, results), form)
        elif name == STATISTICS:
            texts, notes = statistics([], Places(None, None))
            said = "Measured, in brackets the published value. Undirected edges count once, directed ones each."
            _show(texts, form, STATISTICS_TITLE, [said, *notes])
        elif name in hyperparameter_tables():
            title, texts = hyperparameters(name)
            _show(texts, form, title, ["From conf/model, whose values a test holds against the paper's."])
        elif load_suite(name).operators:
            _print_leaderboard(load_suite(name), form, fidelity, read())
        else:
            _print(name, form, fidelity, read(), f"{runs}/ or {results}/")
    return 0


def _print_study(made: Outcome, form: str) -> None:
    if form == "csv":
        print(made.long_frame().to_csv(index=False), end="")
        return
    tables = made.tables()
    for number, (title, texts) in enumerate(tables.items(), 1):
        if number > 1 and form != "screen":
            print()
        _show(texts, form, title, made.notes() if number == len(tables) else [])


def _print(name: str, form: str, fidelity: str, results: Results, where: str) -> None:
    made = make_table(name, results, fidelity)
    if form == "csv":
        print(long_frame(made).to_csv(index=False), end="")
        tell(results.left_out)
        return
    lacking = missing_cells(made)
    wanted = sum(not cell.cited for cell in made.cells.values())
    notes = [caption(made), f"From {'; '.join(results.sources) or f'no runs found in {where}'}.", *results.left_out]
    if lacking:
        named = "" if results.collected.folder == paths.REFERENCE else "; `rethinking status` names them"
        notes.append(f"Partial: {len(lacking)} of {wanted} cells lack seeds{named}.")
    _show(table_texts(made), form, made.title, notes)


def _print_leaderboard(suite: Suite, form: str, fidelity: str, results: Results) -> None:
    """The sentence, and what it is of."""
    board = leaderboard(suite, results, fidelity)
    if form == "csv" and board.comparisons:
        print(csv(board.comparisons, board.asked), end="")
        tell(results.left_out)
    elif form == "csv":
        tell([summary(board), *results.left_out])
    else:
        print(summary(board) + "\n" if form == "screen" else prose([summary(board)], form))
        if board.comparisons:
            _show(leaderboard_texts(board), form, suite.title, [*leaderboard_notes(board), *results.left_out])


def _show(texts: pd.DataFrame, form: str, title: str, notes: Sequence[str]) -> None:
    if form == "screen":
        on_screen(Console(highlight=False, markup=False), texts, title, notes)
    else:
        print(render(texts, form, title, notes), end="")
