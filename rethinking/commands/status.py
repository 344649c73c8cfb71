"""`rethinking status`: how far every cell of a run store is, and what the tables still lack."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rethinking.analysis.settings import differing
from rethinking.analysis.studies import Outcome, load_study, outcome, study_names
from rethinking.analysis.suites import Suite, load_suite, suite_names, table_names
from rethinking.analysis.tidy import Results, read_results
from rethinking.configuration.cell import PAPER, Cell
from rethinking.configuration.composition import compose_cell
from rethinking.configuration.identity import identity
from rethinking.runs.store import Entry, RunStore, is_stale

# How many settings are named in which runs differ from those that a suite wants.
SETTINGS = 3
STATES = ("done", "running", "failed", "damaged", "stale")


def status(suites: Sequence[str], runs: Path, results: Path) -> int:
    """Print the grid, and what some suites lack or, by default, the paper's tables. Returns the exit status."""
    studies = [name for name in suites if name in study_names()]
    names = [load_suite(name).name for name in suites if name not in studies] or ([] if studies else table_names())
    console = Console(soft_wrap=True, highlight=False, markup=False)
    store = RunStore(runs)
    entries = store.entries()
    if entries:
        console.print(_grid(entries, f"Runs in {runs}/"))
    else:
        console.print(f"There are no runs in {runs}/ yet; `rethinking run` trains some.")
    for entry in entries:
        if entry.state in ("failed", "damaged"):
            last = entry.problem.splitlines()[-1] if entry.problem else "no reason recorded"
            console.print(f"{entry.state}: {runs / entry.run_id}: {last}")
    if any(entry.state == "damaged" for entry in entries):
        console.print("Damaged runs count as missing; running the same command again trains them anew.")
    if names:
        _print_missing(console, read_results(store, results, entries), names)
    for name in studies:
        _print_missing_parts(console, outcome(load_study(name), runs, results))
    if not suites:
        others = [name for name in suite_names() if not load_suite(name).table]
        console.print(f"What others lack: `rethinking status SUITE`, SUITE one of {', '.join(others)}.")
    return 0


def _grid(entries: list[Entry], title: str) -> Table:
    """A row a cell, a column a state."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    heads: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        cell = entry.run_id.rpartition("-s")[0] or entry.run_id
        counts[cell]["stale" if is_stale(entry) else entry.state] += 1
        if "family" in entry.record:
            heads[cell] = tuple(str(entry.record[key]) for key in ("dataset", "family", "variant", "fidelity"))
    table = Table(title=title, title_style="bold", title_justify="left")
    for heading in ("data set", "family", "variant", "fidelity", "cell"):
        table.add_column(heading, no_wrap=heading == "cell")
    shown = [state for state in STATES if any(states[state] for states in counts.values())]
    for state in shown:
        table.add_column(state, justify="right")
    for cell in sorted(counts, key=lambda cell: (heads.get(cell, ("~",)), cell)):
        numbers = [str(counts[cell][state] or "·") for state in shown]
        table.add_row(*heads.get(cell, ("?",) * 4), cell, *numbers)
    return table


def _print_missing(console: Console, everything: Results, names: Sequence[str]) -> None:
    """What suites lack, counting collected results too, but no runs of schema 1."""
    for sentence in everything.collected.problems:
        console.print(sentence, markup=False)
    there = _of_store(everything)
    for suite in map(load_suite, names):
        wanted = _wanted(suite)
        if suite.operators:
            _print_operators(console, suite, wanted, everything)
            continue
        lacking: dict[str, list[str]] = defaultdict(list)
        others = _with_other_settings(wanted, there)
        for (row, title), cell in wanted.items():
            trained, older = everything.seeds_of(cell, suite.seeds)
            if trained < suite.seeds:
                notes = [f"+{older} of schema 1"] if older else []
                said = "; ".join([*notes, *others.get((row, title), [])])
                count = f"{title} {trained}/{suite.seeds}"
                lacking[row].append(f"{count} ({said})" if said else count)
        if lacking:
            console.print(f"{suite.title.partition(':')[0]} lacks (seeds done):")
        for row, cells in lacking.items():
            console.print(f"  {row}: {', '.join(cells)}")


def _print_operators(console: Console, suite: Suite, wanted: dict[tuple[str, str], Cell], everything: Results) -> None:
    """A line for each operator with its own controls, and one for all that lack the same."""
    operator_of = {row: name for name, twins in suite.operators.items() for row in (name, *twins)}
    done: dict[tuple[str, str], list[int]] = defaultdict(list)
    for (row, title), cell in wanted.items():
        done[operator_of.get(row, row), title].append(everything.seeds_of(cell, suite.seeds)[0])
    lacking: dict[str, list[str]] = defaultdict(list)
    for (name, title), counts in done.items():
        if sum(counts) < suite.seeds * len(counts):
            lacking[name].append(f"{title} {sum(counts)}/{suite.seeds * len(counts)}")
    alike: dict[str, list[str]] = defaultdict(list)
    for name, parts in lacking.items():
        alike[", ".join(parts)].append(name)
    if alike:
        console.print(f"{suite.title.partition(':')[0]} lacks (seeds done, of an operator and its own controls):")
    for text, operators in alike.items():
        console.print(f"  {', '.join(operators)}: {text}")


def _print_missing_parts(console: Console, made: Outcome) -> None:
    """What a study lacks: an operator is measured in all runs on a graph, or not yet."""
    for sentence in made.problems:
        console.print(sentence)
    if made.lacking:
        console.print(f"{made.study.title} lacks (runs done):")
    for operator, graphs in made.lacking.items():
        console.print(f"  {operator}: {', '.join(f'{graph} 0/{made.study.runs}' for graph in graphs)}")


def _wanted(suite: Suite) -> dict[tuple[str, str], Cell]:
    """The cells of a suite by row and column, in the order in which a table is read."""
    return {
        (row, title): compose_cell([*overrides, f"dataset={dataset}", f"fidelity={PAPER}"])
        for dataset, title in suite.columns.items()
        for row, overrides in suite.rows.items()
        if overrides is not None
    }


def _of_store(results: Results) -> list[tuple[int, dict[str, Any]]]:
    """Of each cell that has runs in the store how many, and what it is."""
    of_store = results.runs[results.runs["run_id"].isin(results.stored)]
    counts = of_store.groupby("cell_id")["run_id"].nunique()
    return [(runs, identity(results.cells[str(cell_id)].config, None)) for cell_id, runs in counts.items()]


def _with_other_settings(
    cells: dict[tuple[str, str], Cell], there: list[tuple[int, dict[str, Any]]]
) -> dict[tuple[str, str], list[str]]:
    """By row and column of a suite, the store's runs that are not its own, for their settings: how many, and which.

    They are said of the cell from which they differ least. there: see `_of_store`.
    """
    wanted = {place: identity(cell, None) for place, cell in cells.items()}
    said: dict[tuple[str, str], list[str]] = defaultdict(list)
    for runs, stored in there:
        kind = _kind(stored)
        near = {place: differing([own, stored])[1] for place, own in wanted.items() if _kind(own) == kind}
        if near and all(near.values()):
            settings_of = {place: re.split(r", (?=\w+=)", text) for place, text in near.items()}
            place = min(near, key=lambda place: len(settings_of[place]))
            settings = settings_of[place]
            more = f" and {len(settings) - SETTINGS} more" if len(settings) > SETTINGS else ""
            said[place].append(f"{runs} with {', '.join(settings[:SETTINGS])}{more}")
    return said


def _kind(identity: dict[str, Any]) -> tuple[str, str, str]:
    return identity["family"], identity["variant"], identity["dataset"]["name"]
