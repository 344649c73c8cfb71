"""`rethinking scorecard`: what pooling operators keep of graphs and what they cost, by themselves."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from hydra.utils import instantiate
from rich.console import Console

from rethinking.analysis.checks import check_settings
from rethinking.analysis.questions import NO_POOLING, question
from rethinking.analysis.render import on_screen, render
from rethinking.analysis.report import check_place, render_page, write_report
from rethinking.analysis.report.page import page_table
from rethinking.analysis.report.scorecard import INTRODUCTION, scorecard_sections
from rethinking.analysis.scorecards import (
    Card,
    Measured,
    Scored,
    claims,
    graphs_of,
    long_frame,
    measure_table,
    of_file,
    of_operators,
    problems,
    sheet,
)
from rethinking.analysis.settings import differing
from rethinking.analysis.studies import load_study, study_names
from rethinking.analysis.tidy import read_results
from rethinking.commands.left_out import tell
from rethinking.commands.operators import chosen
from rethinking.commands.run import ALL_DONE, SOME_FAILED
from rethinking.configuration.cell import Cell
from rethinking.configuration.composition import LEARNED, compose_job
from rethinking.errors import UserError
from rethinking.operators import use_threads
from rethinking.paths import DEFAULT_CHECKS
from rethinking.progress import track
from rethinking.runs.measured_here import measured_here
from rethinking.runs.scorecards import of_store, scorecard_key
from rethinking.runs.snapshots import Snapshot
from rethinking.runs.store import RunStore
from rethinking.scorecard.card import EXPRESSIVE, Part
from rethinking.scorecard.measuring import measurements
from rethinking.scorecard.settings import card_settings, section

# What KEY=VALUE can say here: all else is of a network, of which a scorecard has none.
TAKEN = ("pooler.operator.", "runs=")


def distinct(name: str, cells: Sequence[Cell]) -> list[Measured]:
    """An operator with each choice of its arguments, however often that is in these cells of `model=host`."""
    operators: list[dict[str, Any]] = []
    for cell in cells:
        if cell.select["operator"] not in operators:
            operators.append(cell.select["operator"])
    settings = differing(operators)
    titles = [name + (f" ({text})" if text else "") for text in settings]
    return [Measured(name, title, operator) for title, operator in zip(titles, operators, strict=True)]


class Measuring:
    """Scorecards of one size. Raises UserError if there is no such size, or its graphs cannot be had."""

    def __init__(self, size: str) -> None:
        self.size = size
        self.settings = card_settings(size)
        self.measurements = measurements(self.settings)
        self._every = 60.0 * section("snapshot_minutes")

    def measure(self, operators: Sequence[Measured], store: Path) -> Scored:
        """The cards of operators: what a run store has of them, and what was measured now, which it keeps."""
        cards = [self.card(operator, list(self.measurements), store) for operator in operators]
        compared = [name for name in self.measurements if name == EXPRESSIVE]
        return Scored(cards, self.card(of_file(NO_POOLING), compared, store), [self._note()])

    def card(self, asked: Measured, names: Sequence[str], store: Path) -> Card:
        """These parts of an operator's card, in the same way: each goes on where it was, and is kept run by run."""
        use_threads(1)
        key = scorecard_key(asked.operator, self.settings)
        kept = of_store(store)
        parts, damaged = kept.read(key)
        if damaged:
            print(damaged, file=sys.stderr, flush=True)
        missing = [name for name in names if not self.settings.is_whole(name, parts.get(name, Part()))]
        for name in track(missing, f"Scorecard of {asked.title}"):
            so_far, snapshot = parts.get(name, Part()), Snapshot(kept.unfinished(key, name), self._every)
            for part in measured_here(self.measurements[name], instantiate(asked.operator), so_far, snapshot):
                kept.add(key, asked.operator, {name: part})
                parts[name] = part
                snapshot.remove()
        return Card(asked.name, asked.title, {name: parts[name] for name in names})

    def _note(self) -> str:
        autoencoder, spectral = self.settings.autoencoder, self.settings.spectral
        steps = ""
        if autoencoder.fit.most_steps:
            steps = (
                f" Training ends after {autoencoder.fit.most_steps} steps, converged or not, so compare with others of "
                "this size only."
            )
        counts = sorted({autoencoder.runs, spectral.runs})
        runs = " or ".join(map(str, counts)) + (" run" if counts == [1] else " runs")
        return (
            f"Scorecard of the size {self.size}: {runs} of each, at a ratio of {autoencoder.ratio:g} whatever "
            f"the ratio elsewhere.{steps} Experiments on features and structure: after Grattarola et al. 2022."
        )


def scorecard(words: Sequence[str], size: str, form: str, path: Path) -> int:
    """Measure operators, print what was found and write it as a page. Returns the exit status.

    words: operators as `check` takes them, all of the publication if there are none, and KEY=VALUE.
    """
    names = [word for word in words if "=" not in word] or section("operators")
    given = [f"runs={DEFAULT_CHECKS}", *(word for word in words if "=" in word)]
    for word in given:
        if not word.startswith(TAKEN):
            raise UserError(
                f"{word} does not go with a scorecard, which is measured with the numbers of conf/scorecard.yaml; "
                f"expected {' or '.join(f'{key}…' for key in TAKEN)}, or --size."
            )
    measuring = Measuring(size)
    # A cell is put together for the operator's sake; the data set is not read.
    dataset = check_settings().datasets[0]
    jobs, refused = {}, []
    for name in dict.fromkeys(names):
        try:
            words = ["model=host", f"pooling={LEARNED}", f"dataset={dataset}", *chosen(name), *given]
            jobs[name] = compose_job(words)
        except UserError as error:
            refused.append(f"{name} cannot be measured: {error}")
    if not jobs:
        raise UserError(" ".join(refused))
    tell(refused)
    check_place(path)
    store = next(iter(jobs.values())).runs
    operators = [one for name, job in jobs.items() for one in distinct(name, [job.cell])]
    scored = measuring.measure(operators, store)
    said = [*claims(scored.cards, section("claims")), *refused]
    tables = _experiments(scored.cards)
    # The page is not of runs, but says where its numbers lie.
    results = replace(read_results(RunStore(store), store / "none"), sources=[f"{store}/"], left_out=[])
    pages = [page_table(title, table, tools=False) for title, table in tables.items()]
    sections = scorecard_sections(scored, pages)
    write_report(render_page("What pooling operators keep", said, INTRODUCTION, sections, question(), results), path)
    if form == "csv":
        print(long_frame([*scored.cards, scored.none]).to_csv(index=False), end="")
        tell(problems(scored.cards))
    else:
        for title, table in tables.items():
            _print(table, title, form)
        show(scored, form, said)
    if form == "screen":
        print(f"{path} has all of it; open it in a browser, it needs no network.")
    return SOME_FAILED if refused or problems(scored.cards) else ALL_DONE


def show(scored: Scored, form: str, said: Sequence[str] = ()) -> None:
    """Print the scorecards of operators. said: sentences that come first below them."""
    _print(sheet(scored.cards), "Scorecard: what was kept of each graph", form, keys=2)
    _print(of_operators(scored), "Scorecard: each operator", form, [*said, *problems(scored.cards), *scored.notes])


def _experiments(cards: Sequence[Card]) -> dict[str, pd.DataFrame]:
    """The studies of a publication as its tables have them."""
    return {
        f"{study.title}: {table.title}": measure_table(cards, study.part, table, graphs_of(cards, [study.part]))
        for study in map(load_study, study_names())
        for table in study.tables
    }


def _print(table: pd.DataFrame, title: str, form: str, notes: Sequence[str] = (), keys: int = 1) -> None:
    if form == "screen":
        on_screen(Console(highlight=False, markup=False), table, title, notes, keys)
    else:
        print(render(table, form, title, notes), end="")
