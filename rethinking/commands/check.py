"""`rethinking check`: does a pooling operator do more than its own twins, than no pooling, than global pooling?"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from rethinking.analysis.checks import (
    SIDES,
    TOGETHER,
    Checked,
    CheckSettings,
    answers,
    check_settings,
    comparisons_of,
    operator_note,
    texts,
)
from rethinking.analysis.comparisons import Comparison
from rethinking.analysis.long_comparisons import csv
from rethinking.analysis.questions import Question, changes, question
from rethinking.analysis.render import on_screen, prose, render
from rethinking.analysis.report import check_place, write_report
from rethinking.analysis.report.check import check_page
from rethinking.analysis.scorecards import Measured, Scored
from rethinking.analysis.settings import differing
from rethinking.analysis.tidy import read_results
from rethinking.analysis.wording import method
from rethinking.commands.job import tell_compilation
from rethinking.commands.left_out import tell
from rethinking.commands.operators import chosen, operator_names
from rethinking.commands.run import ALL_DONE, SOME_FAILED, UNTIL_DECIDED, train_jobs
from rethinking.commands.scorecard import Measuring, distinct, show
from rethinking.commands.until_decided import Job, Planned, train_until_decided
from rethinking.configuration.cell import Cell
from rethinking.configuration.check import reason
from rethinking.configuration.composition import LEARNED, brought, compose_job, expand_sweep
from rethinking.configuration.identity import identity
from rethinking.configuration.settings import OPERATOR, OTHER_CELLS, Settings
from rethinking.data.load import load
from rethinking.errors import UserError
from rethinking.operators import before_compilation
from rethinking.paths import DEFAULT_CHECKS
from rethinking.pooling.pool import PoolingLayer
from rethinking.runs.store import RunStore

# Where a word of the command line goes; all others are as for `rethinking run`.
SHORT = {"ratio": "model.ratio"}
# What a check chooses itself, and what one gives in its place.
REFUSED = {
    "model": "operators are compared in the host; for another network give its numbers, such as model.pools=2",
    "pooling": "the operator and its controls; for some of them give controls=shuffled,none",
    "pooler": "operators are named without a key, as in `rethinking check pyg/TopKPooling`",
}
# Where the numbers of scorecards are had in a form that has no place for a second table.
AS_CSV = "`rethinking scorecard OPERATOR --format csv` tells their numbers."
# What a word begins with that is the check's own, in place of the controls of `conf/check.yaml`.
CONTROLS = "controls="


@dataclass
class Asked:
    """One operator. words: what chooses it in the configuration. jobs: of itself and its controls.

    pairs, checked: each control with it, as they train and as they are compared. measured: what has a scorecard of its
    own, the operator with each choice of its arguments. refused: what is left out, in words. told: what else one must
    know of it.
    """

    name: str
    words: list[str]
    jobs: list[Job] = field(default_factory=list)
    pairs: list[Planned] = field(default_factory=list)
    checked: list[Checked] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """What a command asks.

    seeds: their word; empty if the configuration says how many. refused: sentences on what is left out. changed: words
    that make other networks or trainings than `conf/` has.
    """

    operators: list[Asked]
    asked: Question
    seeds: str
    refused: list[str]
    changed: list[str]


def check(words: Sequence[str], size: str | None, form: str, path: Path) -> int:
    """Train operators and their controls, print what was found and write it as a page. Returns the exit status.

    words: operators, by the names of files of `conf/pooler` or import paths, and KEY=VALUE as `rethinking run` takes
    them. size: of the scorecard that is measured of each operator; None for no scorecard.
    """
    measuring = Measuring(size) if size else None
    plan = planned(words)
    for sentence in [*plan.refused, *_told(plan)]:
        print(sentence, file=sys.stderr, flush=True)
    check_place(path)  # Whether it can be written is known before the work.
    with before_compilation(tell_compilation):
        statuses = _train(plan)
    measured = [one for operator in plan.operators for one in operator.measured]
    told = _tell(plan, measuring.measure(measured, _store(plan)) if measuring else None, form, path)
    return SOME_FAILED if plan.refused or any(statuses) or not told else ALL_DONE


def planned(words: Sequence[str]) -> Plan:
    """The jobs of a command. Raises UserError if nothing is left of it."""
    conf = check_settings()
    names = [word for word in words if "=" not in word]
    given = [word for word in words if "=" in word]
    if not names:
        raise UserError(
            f"Which operator? Expected a name, one of {', '.join(operator_names())}, or the import path of a class "
            "such as my_package.MyPool."
        )
    asked = question(**changes([word for word in given if word.startswith("compare.")]))
    conf = _with_controls(conf, [word for word in given if word.startswith(CONTROLS)])
    for key, instead in REFUSED.items():
        if any(word.startswith(f"{key}=") for word in given):
            raise UserError(f"a check chooses {key} itself: {instead}.")
    overrides = [_long(word) for word in given if not word.startswith(("compare.", CONTROLS))]
    # An added file (`+experiment=NAME`) may have a number of them.
    default = "" if brought(overrides, "seeds") else UNTIL_DECIDED
    # The last one holds, as for `rethinking run`.
    seeds = next((word for word in reversed(overrides) if word.startswith("seeds=")), default)
    overrides = [word for word in overrides if not word.startswith("seeds=")]
    if not any(word.startswith("dataset=") for word in overrides):
        overrides.append(f"dataset={','.join(conf.datasets)}")
    if not any(word.startswith("runs=") for word in overrides):
        overrides.append(f"runs={DEFAULT_CHECKS}")
    operators, refused = [], []
    for name in dict.fromkeys(names):
        try:
            operators.append(_asked(name, overrides, conf))
            refused += operators[-1].refused
        except UserError as error:
            refused.append(f"{name} is left out: {error}")
    if not operators:
        raise UserError(" ".join(refused))
    shown = tuple(f"{key}=" for key in SHORT.values())  # In the tables, as what a row is of.
    changed = [word for word in overrides if word.startswith(OTHER_CELLS) and not word.startswith(shown)]
    return Plan(operators, asked, seeds, refused, changed)


def _with_controls(conf: CheckSettings, words: Sequence[str]) -> CheckSettings:
    """With those controls only that the command line names, if it names any; a black box with those it can have."""
    if not words:
        return conf
    # Each once: a comparison that is there twice would count twice among all that are tested together.
    named = list(dict.fromkeys(name.strip() for name in words[-1].removeprefix(CONTROLS).strip("[]").split(",")))
    unknown = [name for name in named if name not in conf.meanings]
    if unknown:
        raise UserError(f"{words[-1]} is not understood; expected some of {', '.join(conf.meanings)}.")
    return replace(conf, controls=named, black_box=[name for name in named if name in conf.black_box])


def _long(word: str) -> str:
    key, _, value = word.partition("=")
    return f"{SHORT.get(key, key)}={value}"


def _asked(name: str, overrides: Sequence[str], conf: CheckSettings) -> Asked:
    """All jobs of an operator. Raises UserError if it cannot be had, or pools none of the data sets."""
    asked = Asked(name, chosen(name))
    common = ["model=host", *asked.words, *overrides]
    own = [(words, compose_job(words)) for words in _expanded([*common, f"pooling={LEARNED}"])]
    titles = _settings_of([job.cell for _, job in own])
    asked.measured = distinct(name, [job.cell for _, job in own])
    if note := operator_note(name):
        asked.told.append(f"{name}: {note}.")
    controls = conf.controls
    if not _says_assignment(own[0][1]):
        controls = conf.black_box
        asked.told.append(
            f"{name} does not say which nodes its clusters are made of (as `perm` or `cluster`), or its features and "
            "edges do not follow from them alone, or it pays no heed to clusters that it is given, so of the controls "
            f"it can have {', '.join(check_settings().black_box)} only: whether it puts the right nodes together stays "
            "open."
        )
    if not controls:
        raise UserError(f"none of these controls is left: {asked.told[-1]}")
    for control in controls:
        try:
            twins = [_twin(words) for words in _expanded([*common, f"pooling={control}"])]
        except UserError as error:
            asked.refused.append(f"{name} is not compared with {control}: {error}")
            continue
        for (own_words, own_job), (twin_words, twin_job), settings in zip(own, twins, titles, strict=True):
            pair = Planned(_job(asked, own_words, own_job), _job(asked, twin_words, twin_job))
            # Once, though a sweep may name a value twice: it would count twice among all that are tested together.
            if any(pair.ids == other.ids for other in asked.pairs):
                continue
            asked.pairs.append(pair)
            asked.checked.append(Checked(name, control, settings, pair.local.id, pair.other.id))
    return asked


def _twin(words: Sequence[str]) -> tuple[list[str], Settings]:
    """A control. One in which nothing of the operator is left has no ratio, so it is one cell for all of them."""
    job, ratio = compose_job(words), f"{SHORT['ratio']}="
    if OPERATOR in job.cell.select or not any(word.startswith(ratio) for word in words):
        return list(words), job
    others = [word for word in words if not word.startswith(ratio)]
    return others, compose_job(others)


def _settings_of(cells: Sequence[Cell]) -> list[str]:
    """What was chosen for each, where others on its data set have something else."""
    texts: dict[int, str] = {}
    for name in {cell.dataset.name for cell in cells}:
        numbers = [number for number, cell in enumerate(cells) if cell.dataset.name == name]
        texts |= zip(numbers, differing([identity(cells[number], None) for number in numbers]), strict=True)
    return [texts[number] for number in range(len(cells))]


def _says_assignment(job: Settings) -> bool:
    """Whether an operator says which nodes its clusters are made of, with the sizes that it has in the network."""
    cell = job.cell
    build = cell.build(load(cell.dataset, job.places), cell.task())
    try:
        network = build(1)
    except Exception as error:  # Classes of one's own may fail in any way.
        raise UserError(f"it cannot be made on {cell.dataset.name}: {reason(error)}") from error
    return all(layer.says_assignment for layer in network.modules() if isinstance(layer, PoolingLayer))


def _expanded(words: Sequence[str]) -> list[list[str]]:
    jobs = expand_sweep(words)
    if jobs is None:
        raise UserError("a check lays out its sweeps itself; leave out the sweeper.")
    return jobs


def _job(asked: Asked, words: Sequence[str], settings: Settings) -> Job:
    """The job of these words, once for all pairs that it is part of."""
    made = Job.of(words, settings)
    for job in asked.jobs:
        if job.id == made.id:
            return job
    asked.jobs.append(made)
    return made


def _train(plan: Plan) -> list[int]:
    jobs = [job for operator in plan.operators for job in operator.jobs]
    pairs = [pair for operator in plan.operators for pair in operator.pairs]
    if plan.seeds != UNTIL_DECIDED:
        return [train_jobs([[*job.words, *filter(None, [plan.seeds])] for job in jobs])]
    return train_until_decided(jobs, pairs, plan.asked, train_jobs)


def _checked(plan: Plan) -> list[Checked]:
    return [one for operator in plan.operators for one in operator.checked]


def _store(plan: Plan) -> Path:
    return plan.operators[0].jobs[0].settings.runs


def _told(plan: Plan) -> list[str]:
    told = [sentence for operator in plan.operators for sentence in operator.told]
    if plan.changed:
        told.append(f"All of it with {', '.join(plan.changed)}: not the networks and trainings of conf/.")
    return told


def _failed(plan: Plan, made: Sequence[Comparison], folder: Path) -> list[str]:
    """Sentences on seeds that failed, whose cells are judged by the others, and on controls of which none is left."""
    counts = Counter(entry.record.get("cell_id") for entry in RunStore(folder).entries() if entry.state == "failed")
    there, families = {(c.local, c.other) for c in made}, {c.family for c in made}
    # A cell may be that of several operators, as the one without pooling is.
    cells = {job.id: job.settings.cell for operator in plan.operators for job in operator.jobs}
    texts = [
        f"{counts[id]} of {cell.family} {cell.variant} on {cell.dataset.title}"
        for id, cell in cells.items()
        if counts[id]
    ]
    said = []
    if texts:
        why = f"`rethinking status --failed --runs={folder}` says why"
        said.append(f"Seeds that failed, and so are in no comparison: {', '.join(texts)}; {why}.")
    said += [
        f"{operator.name} is not compared with {pair.other.settings.cell.variant} on "
        f"{pair.other.settings.cell.dataset.title}: no seed of both is done."
        for operator in plan.operators
        for pair in operator.pairs
        if pair.ids not in there and operator.name in families
    ]
    return said


def _tell(plan: Plan, scored: Scored | None, form: str, path: Path) -> bool:
    """Print what was found, and write the page. Returns whether there was anything to compare."""
    asked, folder = plan.asked, _store(plan)
    results = read_results(RunStore(folder), folder / "none")
    made = comparisons_of(results, asked, _checked(plan))
    if not made:
        print(f"Nothing could be compared; what failed is in {folder}/.", file=sys.stderr, flush=True)
        return False
    without = [
        f"{operator.name} is not here: none of its runs can be compared; `rethinking status --failed --runs={folder}` "
        "says why."
        for operator in plan.operators
        if operator.name not in {c.family for c in made}
    ]
    failed = _failed(plan, made, folder)
    said = [*plan.refused, *without, *failed, *_told(plan)]
    write_report(check_page(made, results, asked, scored, said), path)
    if form == "csv":
        print(csv(made, asked), end="")
        tell([*results.left_out, *without, *failed, *([f"{path} has the scorecards; {AS_CSV}"] if scored else [])])
        return True
    table, notes = texts(made, asked), [method(made, asked, SIDES, TOGETHER), *results.left_out, *said]
    title = "Does the pooling matter? Controls against the operator"
    if form == "screen":
        console = Console(highlight=False, markup=False)
        on_screen(console, table, title, notes, keys=4 if "settings" in table else 3)
        for sentence in answers(made, asked):
            console.print(sentence)
    else:
        print(prose(answers(made, asked), form))
        print(render(table, form, title, notes), end="")
    if scored:
        show(scored, form)
    if form == "screen":
        console.print(f"{path} has all of it; open it in a browser, it needs no network.")
    return True
