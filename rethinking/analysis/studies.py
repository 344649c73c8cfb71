"""Studies: the experiments of a publication on operators by themselves, `studies` of `conf/scorecard.yaml`.

They are suites whose parts are measured and not trained. What was measured lies in a run store, or in the folder
`scorecards` of results, as `runs/scorecards.py` writes it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from rethinking.analysis.collected import read_listed
from rethinking.analysis.manifest import (
    MANIFEST,
    SCORECARDS,
    Manifest,
    listed_scorecard,
    manifest_text,
    read_manifest,
)
from rethinking.analysis.replacing import locked, put_in_place, replacement
from rethinking.analysis.scorecards import Card, Measured, MeasureTable, claims, long_frame, measure_table, of_file
from rethinking.errors import UserError
from rethinking.runs.scorecards import further, of_results, of_store, scorecard_key
from rethinking.scorecard.card import Part, part_name
from rethinking.scorecard.settings import CardSettings, card_settings, section


@dataclass(frozen=True)
class Study:
    """One of them. size: of the scorecards. experiment: the section of `conf/scorecard.yaml`. part: the kind of its
    parts. drawn: how it is drawn, see `figures/studies.py`. note: what is to be known of it.
    """

    name: str
    title: str
    size: str
    experiment: str
    part: str
    tables: Sequence[MeasureTable]
    drawn: str
    note: str

    @cached_property
    def settings(self) -> CardSettings:
        """All numbers."""
        return card_settings(self.size)

    @property
    def graphs(self) -> Sequence[str]:
        """What is pooled."""
        return getattr(self.settings, self.experiment).graphs

    @property
    def runs(self) -> int:
        """How many there are of each operator on each graph."""
        return getattr(self.settings, self.experiment).runs

    @cached_property
    def operators(self) -> Sequence[Measured]:
        """In the order of the tables."""
        return [of_file(name) for name in section("operators")]

    def key(self, operator: Measured) -> str:
        """The name of its scorecard."""
        return scorecard_key(operator.operator, self.settings)


@dataclass(frozen=True)
class Outcome:
    """What there is of a study. cards: of parts that have all runs. begun: by an operator's title and a graph, how many
    runs are done of a part that has not. problems: what is damaged, in sentences.
    """

    study: Study
    cards: Sequence[Card]
    begun: Mapping[tuple[str, str], int]
    problems: Sequence[str]

    @property
    def lacking(self) -> Mapping[str, dict[str, int]]:
        """By the title of an operator the graphs on which it was not measured in all runs, and in how many it was."""
        names = {graph: part_name(self.study.part, graph) for graph in self.study.graphs}
        missing = {
            card.operator: {
                graph: self.begun.get((card.operator, graph), 0)
                for graph, name in names.items()
                if name not in card.parts
            }
            for card in self.cards
        }
        return {operator: graphs for operator, graphs in missing.items() if graphs}

    def tables(self) -> dict[str, pd.DataFrame]:
        """By their titles."""
        study = self.study
        return {
            f"{study.title}: {table.title}": measure_table(self.cards, study.part, table, study.graphs)
            for table in study.tables
        }

    def notes(self) -> list[str]:
        """What the numbers are, what is missing, whether what the publication claims is so, and where they are from."""
        study = self.study
        ratio = getattr(study.settings, study.experiment).ratio
        notes = [
            f"Mean ± standard deviation over {study.runs} runs, at a ratio of {ratio:g}. Lower is better where there "
            f"is a mean rank, which is over the graphs that all operators have. {study.note}"
        ]
        if self.lacking:
            goes_on = f"`rethinking reproduce {study.name}` goes on."
            notes.append(f"Missing, not measured in all runs: {self._missing()}. {goes_on}")
        claimed = [claim for claim in section("claims") if claim["part"] == study.part]
        notes += claims(self.cards, claimed, study.graphs)
        return [*notes, *self._origin(), *self.problems]

    def long_frame(self) -> pd.DataFrame:
        """A row an operator, graph, run and measure, with where it came from."""
        study = self.study
        graphs = {part_name(study.part, graph): graph for graph in study.graphs}
        shown = [
            replace(card, operator=card.name, parts={name: card.parts[name] for name in graphs if name in card.parts})
            for card in self.cards
        ]
        frame = long_frame(shown)
        frame.insert(0, "study", study.name)
        return frame.drop(columns=["part", "nodes"])

    def _missing(self) -> str:
        """Operators that lack the same graphs together."""
        together: dict[str, list[str]] = {}
        for operator, graphs in self.lacking.items():
            said = [f"{graph} ({done} of {self.study.runs} done)" if done else graph for graph, done in graphs.items()]
            together.setdefault(", ".join(said), []).append(operator)
        return "; ".join(
            f"{'all operators' if len(operators) == len(self.cards) else ', '.join(operators)} on {graphs}"
            for graphs, operators in together.items()
        )

    def _origin(self) -> list[str]:
        """In one sentence, if there is anything."""
        frame = self.long_frame()
        if frame.empty:
            return []

        def all_of(key: str) -> str:
            return ", ".join(sorted(frame[key].astype(str).unique()))

        days = frame["finished"].str[:10]
        when = f"on {days.min()}" if days.nunique() == 1 else f"from {days.min()} to {days.max()}"
        return [f"Measured {when} on {all_of('device_name')}, with torch {all_of('torch_version')}."]


def study_names() -> list[str]:
    """The studies there are."""
    return list(section("studies"))


def load_study(name: str) -> Study:
    """One of them, by its name."""
    values = section("studies")[name]
    tables = [MeasureTable(**table) for table in values.pop("tables")]
    return Study(name, tables=tables, **values)


def outcome(study: Study, runs: Path, results: Path) -> Outcome:
    """What a run store and a results folder have of a study; of a part that both have, see `further`."""
    cards, problems = [], []
    begun: dict[tuple[str, str], int] = {}
    names = {part_name(study.part, graph): graph for graph in study.graphs}
    for operator in study.operators:
        parts: dict[str, Part] = {}
        for kept in (of_results(results), of_store(runs)):
            found, damaged = kept.read(study.key(operator))
            parts = further(parts, {name: part for name, part in found.items() if name in names})
            problems += [damaged] if damaged else []
        whole = {name: part for name, part in parts.items() if study.settings.is_whole(name, part)}
        cards.append(Card(operator.name, operator.title, whole))
        begun |= {(operator.title, names[name]): part.runs for name, part in parts.items() if name not in whole}
    return Outcome(study, cards, begun, problems)


def collect_studies(runs: Path, results: Path) -> int:
    """Add what a run store has of all studies to a results folder. Returns how many parts were there to add.

    Raises UserError if a scorecard in the folder is not as it was collected, or if it cannot be written; the folder
    then stays as it is.
    """
    studies = map(load_study, study_names())
    operators = {study.key(operator): operator.operator for study in studies for operator in study.operators}
    found = {key: parts for key in operators if (parts := of_store(runs).read(key)[0])}
    if found:
        with locked(results):
            put_in_place(results)
            manifest = _checked(results, found)
            with replacement(results) as new:
                for key, parts in found.items():
                    of_results(new).write(key, operators[key], further(of_results(results).read(key)[0], parts))
                if manifest is not None:
                    manifest |= {name: listed_scorecard(new / name) for name in map(_name, found)}
                    (new / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8")
    return sum(map(len, found.values()))


def _checked(results: Path, keys: Iterable[str]) -> Manifest | None:
    """The manifest of a results folder, if it has one. Raises UserError if it or one of these scorecards is damaged."""
    path = results / MANIFEST
    try:
        manifest = read_manifest(results)
        for path in (results / _name(key) for key in keys):
            read_listed(results, f"{path.parent.name}/{path.name}", manifest)
    except ValueError as error:
        raise UserError(f"Nothing was collected. {path} cannot be used: {error}.") from error
    return manifest


def _name(key: str) -> str:
    """Where a scorecard lies in a results folder."""
    return f"{SCORECARDS}/{key}.json"
