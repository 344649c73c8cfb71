"""`rethinking run … seeds=until_decided`: both cells of a pair train from look to look, until the pair is decided."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from rethinking import paths
from rethinking.analysis.answers import verdict_at
from rethinking.analysis.checks import Checked, comparisons_of
from rethinking.analysis.comparisons import Comparison, all_comparisons, apart
from rethinking.analysis.inference.adjusting import least_level
from rethinking.analysis.inference.verdicts import Verdict
from rethinking.analysis.pairs import find_pairs, in_host, same_arguments
from rethinking.analysis.questions import Question, question
from rethinking.analysis.tidy import Results, read_results
from rethinking.configuration.cell import Cell
from rethinking.configuration.identity import identity
from rethinking.configuration.settings import Settings
from rethinking.data.load import load
from rethinking.errors import UserError
from rethinking.runs.identity import cell_id
from rethinking.runs.store import RunStore

# Trains jobs together, each of words as one types them. Returns the exit status.
Train = Callable[[Sequence[Sequence[str]]], int]
Ids = tuple[str, str]


@dataclass
class Job:
    """A cell to be trained. words: what chooses it. seeds: how many it has been asked for so far."""

    words: list[str]
    settings: Settings
    id: str
    seeds: int = 0

    @classmethod
    def of(cls, words: Sequence[str], settings: Settings) -> "Job":
        """With the id that its runs have; its data set is read for it."""
        return cls(
            list(words), settings, cell_id(settings.cell, load(settings.cell.dataset, settings.places).fingerprint)
        )


@dataclass
class Planned:
    """Two cells that are compared. Why training stopped, in words; empty as long as it goes on."""

    local: Job
    other: Job
    found: Comparison | None = None
    verdict: Verdict | None = None
    stopped: str = ""

    @property
    def ids(self) -> "Ids":
        """Of both cells."""
        return self.local.id, self.other.id


class Family(NamedTuple):
    """What is tested together: the host's pairs; those of data sets that are compared by default; of one left out."""

    hosted: bool
    apart: str


def train_until_decided(jobs: Sequence[Job], pairs: Sequence[Planned], asked: Question, train: Train) -> list[int]:
    """Train pairs of some jobs look by look, and say in each what became of it. Returns the status of every look.

    A pair stops when its verdict on this data set holds at the least level that any of the comparisons can be left,
    planned, stored and collected, so no result of another of these can take it back; pairs that are planned later may,
    as `rethinking compare` adjusts for them too. Of the host's pairs those that are planned here count, as a check and
    the suite of all operators test theirs together. A cell goes on as long as one of its pairs
    does; one without a pair gets `asked.seeds`. What the store has is not trained again, so the same command goes on
    where it was stopped.
    """
    paired = {id(job) for pair in pairs for job in (pair.local, pair.other)}
    statuses = _train([job for job in jobs if id(job) not in paired], asked.seeds, train)
    for look in asked.looks:
        going = [job for pair in pairs if not pair.stopped for job in (pair.local, pair.other)]
        statuses += _train(going, look, train)
        _judge(pairs, look, asked)
    return statuses


def plan(jobs: Sequence[Job], asked: Question) -> list[Planned]:
    """The pairs among some jobs: a local reference, and each non-local cell that differs from it in its Select only.

    In the host: an operator, and each of its twins. Raises UserError if there is none.
    """
    groups: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        groups[_shared(job.settings.cell, asked)].append(job)
    pairs = [
        Planned(local, other)
        for group in groups.values()
        for local in group
        for other in group
        if _are_compared(local.settings.cell, other.settings.cell, asked)
    ]
    if not pairs:
        raise UserError(
            f"seeds=until_decided needs two cells to compare: {asked.reference} and a non-local variant of one family "
            f"on one data set, as with `pooling={asked.reference},uniform`; for other cells give a number of seeds."
        )
    return pairs


def _checked(pair: Planned) -> Checked:
    own, twin = pair.local.settings.cell, pair.other.settings.cell
    return Checked(own.family, twin.variant, "", *pair.ids)


def _are_compared(local: Cell, other: Cell, asked: Question) -> bool:
    """Of two cells that differ in nothing but the Select."""
    if local.variant != asked.reference or not same_arguments(local.select, other.select):
        return False
    if in_host(local.network, asked):
        return other.variant != asked.reference
    return bool(local.is_local) and other.is_local is False


def _shared(cell: Cell, asked: Question) -> str:
    """What two cells that are compared have in common. Cells of the host are called after their operators."""
    whole = identity(cell, None)
    family = None if in_host(cell.network, asked) else cell.family
    return json.dumps({**whole, "family": family, "variant": None, "select": None}, sort_keys=True)


def _train(jobs: Iterable[Job], seeds: int, train: Train) -> list[int]:
    """Those that have been asked for fewer seeds, all together."""
    due: list[Job] = []
    for job in jobs:
        if job.seeds < seeds:
            job.seeds = seeds
            due.append(job)
    return [train([[*job.words, f"seeds={seeds}"] for job in due])] if due else []


def _judge(pairs: Sequence[Planned], look: int, asked: Question) -> None:
    """Say of pairs that still train whether they need to go on after a look."""
    going = [pair for pair in pairs if not pair.stopped]
    for folder in {pair.local.settings.runs for pair in going}:
        # Of the store alone: what others collected was not trained for this question.
        made = _made(read_results(RunStore(folder), folder / "none"), pairs, asked)
        standing = _standing(folder, asked)
        for pair in (pair for pair in going if pair.local.settings.runs == folder):
            key = _family(pair, asked)
            family = {p.ids for p in pairs if _family(p, asked) == key} | made[key].keys() | standing[key]
            _stop(pair, made[key].get(pair.ids), look, least_level(asked.level, len(family), asked.adjust), asked)


def _standing(folder: Path, asked: Question) -> Mapping[Family, set[Ids]]:
    """The comparisons of a store and of the results here: those for which `rethinking compare` adjusts its verdicts."""
    families: dict[Family, set[Ids]] = defaultdict(set)
    for pair in find_pairs(read_results(RunStore(folder), paths.DEFAULT_RESULTS), asked)[0]:
        families[Family(False, apart(pair.other.dataset, asked))].add((pair.local.id, pair.other.id))
    return families


def _made(results: Results, pairs: Sequence[Planned], asked: Question) -> Mapping[Family, Mapping[Ids, Comparison]]:
    """All comparisons that runs allow, by what is tested together."""
    families: dict[Family, dict[Ids, Comparison]] = defaultdict(dict)
    for c in all_comparisons(results, asked)[0]:
        families[Family(False, apart(c.dataset, asked))][c.local, c.other] = c
    hosted = [_checked(pair) for pair in pairs if _family(pair, asked).hosted]
    for c in comparisons_of(results, asked, hosted):
        families[Family(True, "")][c.local, c.other] = c
    return families


def _family(pair: Planned, asked: Question) -> Family:
    cell = pair.local.settings.cell
    hosted = in_host(cell.network, asked)
    return Family(hosted, "" if hosted else apart(cell.dataset.name, asked))


def _stop(pair: Planned, found: Comparison | None, look: int, level: float, asked: Question) -> None:
    pair.found = found
    have = 0 if found is None else len(found.seeds)
    if found is not None:
        pair.verdict = verdict_at(found.answer_a, level)
    if pair.verdict is not None and pair.verdict.decided:
        pair.stopped = "decided"
    elif have < look:
        pair.stopped = f"{look - have} of {look} seeds are missing"
    elif look == asked.looks[-1]:
        pair.stopped = "the last look"


def print_decisions(pairs: Sequence[Planned], asked: Question) -> None:
    """How many seeds each pair took, and why it stopped."""
    table = Table(title="Until decided", title_style="bold", title_justify="left")
    for heading in ("data set", "family", "variant", "seeds"):
        table.add_column(heading, no_wrap=True)
    for heading in ("verdict", "stopped"):
        table.add_column(heading)
    for pair in pairs:
        cell, found = pair.other.settings.cell, pair.found
        family = pair.local.settings.cell.family
        verdict = "—"
        if found is not None:
            # What is still undecided here may be decided among all comparisons, or says how many seeds are needed.
            shown = pair.verdict if pair.verdict is not None and pair.verdict.decided else found.verdict
            verdict = found.words(replace(found.answer_a, verdict=shown))
        seeds = str(0 if found is None else len(found.seeds))
        table.add_row(cell.dataset.title, family, cell.variant, seeds, verdict, pair.stopped)
    Console(markup=False).print(table)
    looks = ",".join(map(str, asked.looks))
    other = "" if asked.looks == question().looks else f" 'compare.looks=[{looks}]'"
    print(
        f"Looks at {looks.replace(',', ', ')} seeds; level {asked.level:g} for all comparisons together. "
        f"`rethinking compare{other}` says what follows from all of them."
    )
