"""`rethinking status`: how far every cell of a run store is, who trains what, and what the tables still lack."""

import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from rethinking import paths
from rethinking.analysis.remaining import Rates
from rethinking.analysis.settings import differing
from rethinking.analysis.standing import Place, Standing, standing_of, wanted_of
from rethinking.analysis.studies import Outcome, load_study, outcome, study_names
from rethinking.analysis.suites import Suite, load_suite, suite_names, table_names
from rethinking.analysis.tidy import Results, read_results
from rethinking.configuration.cell import Cell
from rethinking.configuration.identity import identity
from rethinking.errors import UserError
from rethinking.progress import in_words
from rethinking.runs.interrupted import cell_of, files_of
from rethinking.runs.store import Entry, RunStore, is_stale
from rethinking.runs.together import as_text
from rethinking.runs.workers import SILENCE

# How many settings are named in which runs differ from those that a suite wants.
SETTINGS = 3
STATES = ("done", "running", "failed", "damaged", "stale")
LACKING = 1  # The exit status where something that was named is not complete.
WATCH_SECONDS = 5.0

# The cells of each suite.
Wanted = Sequence[tuple[Suite, Mapping[Place, Cell]]]


def status(suites: Sequence[str], runs: Path, results: Path, failed: bool = False, watch: bool = False) -> int:
    """Print the grid, and what some suites lack or, by default, the paper's tables.

    failed: say why each run failed, and nothing else. watch: show how it goes on, until all is done or Ctrl-C.
    Returns the exit status: whether suites that were named are complete.
    """
    studies = [name for name in suites if name in study_names()]
    names = [load_suite(name).name for name in suites if name not in studies] or ([] if studies else table_names())
    if watch and studies:
        raise UserError(f"--watch follows trainings, and {', '.join(studies)} has none; leave one of the two out.")
    console = Console(soft_wrap=True, highlight=False, markup=False)
    store = RunStore(runs)
    entries = store.entries()
    if failed:
        return _print_failed(console, store, entries)
    everything = read_results(store, results, entries)
    wanted = [(suite, wanted_of(suite)) for suite in map(load_suite, names)]
    if watch:
        return _watch(console, everything, wanted)
    if entries:
        console.print(_grid(entries, f"Runs in {runs}/"))
    elif str(runs) != paths.NONE:
        console.print(f"There are no runs in {runs}/ yet; `rethinking run` trains some.")
    for sentence in _problems(store, entries):
        console.print(sentence)
    if table := _at_work(store):
        console.print(table)
    for sentence in _interrupted(store, entries):
        console.print(sentence)
    whole = _print_missing(console, everything, wanted, entries) if names else True
    for made in (outcome(load_study(name), runs, results) for name in studies):
        whole &= not made.lacking
        _print_missing_parts(console, made)
    if not suites:
        others = [*(name for name in suite_names() if not load_suite(name).table), *study_names()]
        console.print(f"What others lack: `rethinking status SUITE`, SUITE one of {', '.join(others)}.")
        return 0
    return 0 if whole else LACKING


def _watch(console: Console, everything: Results, wanted: Wanted) -> int:
    """Show the store anew every few seconds, until all that is wanted is whole. Returns the exit status: whether it is.

    What a results folder has is read once.
    """
    store, rates = everything.store, Rates(everything)
    with Live(console=console, auto_refresh=False) as live, suppress(KeyboardInterrupt):
        while True:
            entries = store.entries()
            standing = [(suite, standing_of(cells, suite, everything, entries, rates)) for suite, cells in wanted]
            # A terminal shows the first lines if there are too many.
            shown: list[RenderableType] = [
                _at_work(store) or f"Nobody works on {store.folder}/ at the moment.",
                *_problems(store, entries),
                *(told_of_all(suite, cells) for suite, cells in standing),
            ]
            unfinished = {_cell_of(entry) for entry in entries if entry.state != "done"}
            if unfinished:
                rows = [entry for entry in entries if _cell_of(entry) in unfinished]
                shown.append(_grid(rows, f"Cells in {store.folder}/ that are not done"))
            live.update(Group(*shown), refresh=True)
            if all(cell.is_whole for _, cells in standing for cell in cells.values()):
                return 0
            time.sleep(WATCH_SECONDS)
    return LACKING


def _grid(entries: list[Entry], title: str) -> Table:
    """A row a cell, a column a state."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    heads: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        cell = _cell_of(entry)
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


def _cell_of(entry: Entry) -> str:
    return entry.run_id.rpartition("-s")[0] or entry.run_id


def _at_work(store: RunStore) -> Table | None:
    """A row a process that works on the store: who, since when, and how far its group is."""
    table = Table(title="At work", title_style="bold", title_justify="left")
    for heading in ("who", "since (UTC)", "trains"):
        table.add_column(heading, no_wrap=heading != "trains")
    for heading in ("seeds", "epoch", "s/epoch", "left ≤"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in store.workers.names():
        if store.workers.is_dead(name):
            continue
        said = store.workers.said(name)
        doing = said["doing"] if isinstance(said.get("doing"), dict) else {}
        who = f"{_plain(said, 'user')}@{_plain(said, 'host')} ({_plain(said, 'process')})"
        quiet = store.workers.quiet_for(name)
        who += f", silent for {in_words(quiet)}" if quiet > SILENCE else ""
        epoch, last, took = (_positive(doing.get(key)) for key in ("epoch", "max_epochs", "seconds"))
        each = took / epoch if epoch else 0.0
        left = in_words(each * (last - epoch)) if each and last >= epoch else ""
        table.add_row(
            who, _plain(said, "since")[5:16].replace("T", " "), _plain(doing, "title"),
            _plain(doing, "seeds"), f"{epoch:.0f}/{last:.0f}" if each else "",
            f"{each:.1f}" if each else "", left,
        )  # fmt: skip
    return table if table.row_count else None


def _interrupted(store: RunStore, entries: list[Entry]) -> Iterator[str]:
    """Groups that stopped before they were done, and whose state was kept. Those of cells that train are left out."""
    at_work = {_cell_of(entry) for entry in entries if entry.state == "running"}
    if all(cell_of(path) in at_work for path in files_of(store.folder)):
        return
    from rethinking.runs.checkpoints import kept  # Late: it takes torch to read them.

    for saved in kept(store.folder):
        if saved.cell_id not in at_work:
            yield (
                f"Stopped before it was done: {saved.title or 'a training'} ({saved.cell_id}), seeds "
                f"{as_text(saved.seeds)}, after epoch {saved.epoch}. The command that trained it goes on there."
            )


def _plain(said: Mapping[str, Any], key: str) -> str:
    """What another process says, for a terminal."""
    text = str(said.get(key, ""))
    return text if text.isprintable() and len(text) < 100 else "?"


def _positive(number: Any) -> float:
    """The number that another process says, 0 if it says none."""
    return float(number) if type(number) in (int, float) and 0 < number < 1e9 else 0.0


def _problems(store: RunStore, entries: list[Entry]) -> Iterator[str]:
    """What is damaged, and how many failed."""
    damaged = [entry for entry in entries if entry.state == "damaged"]
    for entry in damaged:
        yield f"damaged: {store.folder / entry.run_id}: {_last_line(entry)}"
    if damaged:
        yield "Damaged runs count as missing; running the same command again trains them anew."
    count = sum(entry.state == "failed" for entry in entries)
    if count:
        named = "" if store.folder == paths.DEFAULT_RUNS else f" --runs {store.folder}"
        yield f"{count} run{' has' if count == 1 else 's have'} failed: `rethinking status --failed{named}` says why."


def _print_failed(console: Console, store: RunStore, entries: list[Entry]) -> int:
    """A line a run that failed. Returns the exit status: whether there is none."""
    failed = [entry for entry in entries if entry.state == "failed"]
    for entry in failed:
        words = [str(entry.record[key]) for key in ("family", "variant", "dataset") if key in entry.record]
        console.print(f"{store.folder / entry.run_id} ({' / '.join(words) or '?'}): {_last_line(entry)}")
    if failed:
        console.print(
            "error.txt in each folder has the whole reason; the same command with retry_failed=true tries again."
        )
    else:
        console.print(f"No run in {store.folder}/ has failed.")
    return LACKING if failed else 0


def _last_line(entry: Entry) -> str:
    return entry.problem.splitlines()[-1] if entry.problem else "no reason recorded"


def _print_missing(console: Console, everything: Results, wanted: Wanted, entries: list[Entry]) -> bool:
    """What suites lack, counting collected results too, but no runs of schema 1. Returns whether it is nothing."""
    for sentence in everything.collected.problems:
        console.print(sentence, markup=False)
    there, rates = _of_store(everything), Rates(everything)
    whole = True
    for suite, cells in wanted:
        standing = standing_of(cells, suite, everything, entries, rates)
        whole &= all(cell.is_whole for cell in standing.values())
        if suite.operators:
            _print_operators(console, suite, standing)
        else:
            _print_rows(console, suite, standing, _with_other_settings(cells, there))
        console.print(told_of_all(suite, standing))
    return whole


def _print_rows(
    console: Console, suite: Suite, standing: Mapping[Place, Standing], others: Mapping[Place, list[str]]
) -> None:
    lacking: dict[str, list[str]] = defaultdict(list)
    for (row, title), cell in standing.items():
        if not cell.is_whole:
            notes = [f"{cell.running} running"] if cell.running else []
            notes += [f"{cell.failed} failed"] if cell.failed else []
            notes += [f"+{cell.older} of schema 1"] if cell.older else []
            notes += [f"+{cell.without_weights} without weights"] if cell.without_weights else []
            said = "; ".join([*notes, *others.get((row, title), [])])
            count = f"{title} {cell.done}/{cell.wanted}"
            lacking[row].append(f"{count} ({said})" if said else count)
    if lacking:
        console.print(f"{_name(suite)} lacks (seeds done):")
    for row, texts in lacking.items():
        console.print(f"  {row}: {', '.join(texts)}")


def _print_operators(console: Console, suite: Suite, standing: Mapping[Place, Standing]) -> None:
    """A line for each operator with its own controls, and one for all that lack the same."""
    operator_of = {row: name for name, twins in suite.operators.items() for row in (name, *twins)}
    cells_of: dict[Place, list[Standing]] = defaultdict(list)
    for (row, title), cell in standing.items():
        cells_of[operator_of.get(row, row), title].append(cell)
    lacking: dict[str, list[str]] = defaultdict(list)
    for (name, title), cells in cells_of.items():
        if not all(cell.is_whole for cell in cells):
            running = sum(cell.running for cell in cells)
            note = f" ({running} running)" if running else ""
            done, wanted = sum(cell.done for cell in cells), sum(cell.wanted for cell in cells)
            lacking[name].append(f"{title} {done}/{wanted}{note}")
    alike: dict[str, list[str]] = defaultdict(list)
    for name, parts in lacking.items():
        alike[", ".join(parts)].append(name)
    if alike:
        console.print(f"{_name(suite)} lacks (seeds done, of an operator and its own controls):")
    for text, operators in alike.items():
        console.print(f"  {', '.join(operators)}: {text}")


def told_of_all(suite: Suite, standing: Mapping[Place, Standing]) -> str:
    """All cells of a suite in one sentence."""
    cells = list(standing.values())
    if all(cell.is_whole for cell in cells):
        return f"{_name(suite)} is complete."
    states = [f"{sum(cell.done for cell in cells)} of {sum(cell.wanted for cell in cells)} seeds are done"]
    for state in ("running", "failed", "missing"):
        count = sum(getattr(cell, state) for cell in cells)
        states += [f"{count} {state}"] if count else []
    return f"{_name(suite)}: {', '.join(states)}{_time_left([cell for cell in cells if not cell.is_whole])}."


def _time_left(cells: Sequence[Standing]) -> str:
    """How long those of a suite that are not done will take, as far as anybody has measured."""
    known = [cell.seconds for cell in cells if cell.seconds is not None]
    if not known:
        return "; how long they will take nobody has measured yet"
    unknown = len(cells) - len(known)
    text = f"; about {in_words(sum(known))} of one core left, at the rates measured so far"
    return text + (
        f", without {unknown} cell{'' if unknown == 1 else 's'} of which nobody has measured any" if unknown else ""
    )


def _name(suite: Suite) -> str:
    return suite.title.partition(":")[0]


def _print_missing_parts(console: Console, made: Outcome) -> None:
    """What a study lacks, and how many runs are done of it."""
    for sentence in made.problems:
        console.print(sentence)
    console.print(f"{made.study.title} {'lacks (runs done):' if made.lacking else 'is complete.'}")
    for operator, graphs in made.lacking.items():
        counts = [f"{graph} {done}/{made.study.runs}" for graph, done in graphs.items()]
        console.print(f"  {operator}: {', '.join(counts)}")


def _of_store(results: Results) -> list[tuple[int, dict[str, Any]]]:
    """Of each cell that has runs in the store how many, and what it is."""
    of_store = results.runs[results.runs["run_id"].isin(results.stored)]
    counts = of_store.groupby("cell_id")["run_id"].nunique()
    return [(runs, identity(results.cells[str(cell_id)].config, None)) for cell_id, runs in counts.items()]


def _with_other_settings(
    cells: Mapping[Place, Cell], there: list[tuple[int, dict[str, Any]]]
) -> dict[Place, list[str]]:
    """By row and column of a suite, the store's runs that are not its own, for their settings: how many, and which.

    They are said of the cell from which they differ least. there: see `_of_store`.
    """
    wanted = {place: identity(cell, None) for place, cell in cells.items()}
    said: dict[Place, list[str]] = defaultdict(list)
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
