"""`rethinking run`: a Hydra application; one job is one cell with all its seeds."""

import argparse
import os
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.utils import get_original_cwd
from omegaconf import DictConfig, OmegaConf

from rethinking import paths
from rethinking.configuration.composition import (
    VERSION_BASE,
    any_choice,
    as_choices,
    asks_for_several,
    compose_job,
    expand_sweep,
    in_one_sentence,
    pairs_table,
    prepare_hydra,
)
from rethinking.configuration.resolvers import register_resolvers
from rethinking.configuration.settings import ImpossiblePairError, Settings, settings
from rethinking.data.load import load
from rethinking.errors import UserError
from rethinking.operators import before_compilation
from rethinking.progress import JobProgress
from rethinking.runs.execute import execute
from rethinking.runs.store import RunStore
from rethinking.tracking.tracker import kind_of
from rethinking.training.device import choose_device

ALL_DONE, SOME_FAILED, SOME_ELSEWHERE = 0, 1, 3
SUITE = r"\+?suite="
# In place of a number of seeds, and what then changes the question.
UNTIL_DECIDED, QUESTION = "seeds=until_decided", "compare."

# The jobs of this process with seeds that could not be done, by title: of a finished run that was to be trained anew
# the store still has what was there before, and of a sweep that only Hydra can lay out nothing else is known.
_not_done: list[str] = []


class JobFailedError(Exception):
    """A job could not be carried out; why has been printed."""


def main(arguments: Sequence[str]) -> int:
    """Run the Hydra application on these arguments, or once for each row of a suite. Returns the exit status."""
    parsed = _parse(arguments)
    with paths.own_configuration(parsed.config_dir), before_compilation(tell_compilation):
        suites, studies = _suites_and_studies(parsed)
        until_decided = UNTIL_DECIDED in parsed.overrides
        if not suites and not studies and not (until_decided and parsed.trains):
            return _run(arguments, parsed)
        sweeps = [parsed.overrides] if not suites and not studies else _sweeps(suites, parsed)
        measured = [_measure(study, parsed) for study in studies]
        trained = [_run_until_decided(sweeps)] if until_decided else [main(["-m", *sweep]) for sweep in sweeps]
        return _worst([*measured, *trained])


def tell_compilation() -> None:
    """Say that a first run takes a while."""
    print("Compiling loops for this processor; they are kept for later runs.", file=sys.stderr, flush=True)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, which are Hydra's; `trains` is added: whether they ask for more than an answer."""

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; see rethinking run --help.")

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    parsed = parser.parse_args(list(arguments))
    answers = (parsed.help, parsed.hydra_help, parsed.cfg, parsed.info, parsed.shell_completion)
    parsed.trains = not any(answers)
    if parsed.shell_completion and "query" in " ".join(parsed.overrides) and "COMP_LINE" not in os.environ:
        raise UserError("A shell asks for completion with its line in COMP_LINE; there is none.")
    return parsed


def _run(arguments: Sequence[str], parsed: argparse.Namespace, table: bool = True) -> int:
    """One Hydra application. table: whether its jobs end in their table."""
    # Errors come through to this function instead of being printed by Hydra.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    prepare_hydra()
    # Hydra asks for every part of its own configuration in every job, the text of the help included.
    pairs = pairs_table("simple") if parsed.help else ""
    OmegaConf.register_new_resolver("pairs", lambda: pairs, replace=True)
    # Hydra composes a configuration even to show its help, so the help needs some choice.
    sys.argv = ["rethinking", *arguments, *(any_choice() if parsed.help else [])]
    _not_done.clear()
    try:
        with in_one_sentence(parsed.overrides):
            if parsed.trains and not parsed.multirun and asks_for_several(parsed.overrides):
                # Hydra asks this of all values, and takes a value that one of several files has not for a plain run.
                parsed.multirun = True
                sys.argv.append("--multirun")
            jobs = _check(parsed) if parsed.trains else []
            if parsed.trains and parsed.multirun:
                choices = as_choices(parsed.overrides)
                sys.argv = [choices.get(word, word) for word in sys.argv]
            _application()
    except JobFailedError:
        return SOME_FAILED
    except ValueError as error:
        if parsed.trains:
            raise
        raise UserError(f"{error}; see rethinking run --help.") from error
    if jobs:
        return _conclude(_merged(jobs), table)
    return SOME_FAILED if _not_done else ALL_DONE


def _suites_and_studies(parsed: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The suites that are trained, and those that are measured."""
    words = [word.partition("=")[2] for word in parsed.overrides if re.match(SUITE, word)]
    if not words:
        return [], []
    from rethinking.analysis.studies import study_names

    names, known = [name for word in words for name in word.split(",")], study_names()
    return [name for name in names if name not in known], [name for name in names if name in known]


def _measure(study: str, parsed: argparse.Namespace) -> int:
    """Measure what is missing of a study, and print its table."""
    from rethinking.commands.study import measure_and_print

    given = [word for word in parsed.overrides if not re.match(SUITE, word)]
    return measure_and_print(study, given, paths.DEFAULT_RESULTS)


def _sweeps(names: Sequence[str], parsed: argparse.Namespace) -> list[list[str]]:
    """The multiruns of suites, see `Suite.sweeps`."""
    from rethinking.analysis.suites import load_suite

    if not parsed.trains:
        raise UserError("suite= does not go with options that only ask; `rethinking status SUITE` says what it lacks.")
    chosen = list(map(load_suite, names))
    changed = [word for word in parsed.overrides if not re.match(SUITE, word)]
    for word in changed:
        key = word.partition("=")[0]
        for suite in chosen:
            if key in suite.row_keys:
                raise UserError(
                    f"{word} does not go with suite={suite.name}, whose rows choose {key} themselves; leave it out, or "
                    "train cells of your own without suite=."
                )
    # Suites may share rows.
    sweeps = [list(sweep) for sweep in dict.fromkeys(tuple(s) for suite in chosen for s in suite.sweeps(changed))]
    operators = any(suite.operators for suite in chosen)
    if UNTIL_DECIDED in changed and not operators:
        return sweeps
    # What is wrong with any row is said before work on the first; an operator that cannot be had stops no other.
    possible: list[list[str]] = []
    refused: dict[str, None] = {}
    for sweep in sweeps:
        try:
            for job in expand_sweep(_without_questions(sweep)) or []:
                compose_job(job)
            possible.append(sweep)
        except UserError as error:
            if not operators:
                raise
            refused[str(error)] = None
    if sweeps and not possible:
        raise UserError(" ".join(refused))
    for sentence in refused:
        _say(f"Left out: {sentence}")
    return possible


def _without_questions(words: Sequence[str]) -> list[str]:
    """What chooses cells, of a sweep that trains until decided."""
    return [word for word in words if word != UNTIL_DECIDED and not word.startswith(QUESTION)]


def _run_until_decided(sweeps: Sequence[Sequence[str]]) -> int:
    """All sweeps together, with as many seeds as their comparisons take. Returns the exit status."""
    from rethinking.analysis.questions import changes, question
    from rethinking.commands.until_decided import Job, families_of, plan, print_decisions, train_until_decided

    words = [word for sweep in sweeps for word in sweep]
    asked = question(**changes(list(dict.fromkeys(word for word in words if word.startswith(QUESTION)))))
    jobs: dict[str, Job] = {}
    for sweep in sweeps:
        expanded = expand_sweep(_without_questions(sweep))
        if expanded is None:
            raise UserError(f"{UNTIL_DECIDED} lays out its sweeps itself; leave out the sweeper.")
        for own, job in _compose(expanded):
            made = Job.of(own, job)
            jobs.setdefault(made.id, made)
    pairs = plan(list(jobs.values()), asked)
    statuses = train_until_decided(list(jobs.values()), pairs, asked, train_sweep, families_of(pairs))
    status = _conclude([replace(job.settings, seeds=list(range(job.seeds))) for job in jobs.values()], table=True)
    print_decisions(pairs, asked)
    return _worst([*statuses, status])


def train_sweep(words: Sequence[str]) -> int:
    """A multirun without its table. Returns the exit status."""
    arguments = ["-m", *words]
    return _run(arguments, _parse(arguments), table=False)


def _worst(statuses: Sequence[int]) -> int:
    """The exit status of several sweeps together."""
    return next((status for status in (SOME_FAILED, SOME_ELSEWHERE) if status in statuses), ALL_DONE)


def _check(parsed: argparse.Namespace) -> list[Settings]:
    """Compose every job of a sweep and refuse what cannot run, before any work.

    Empty for a sweep that only Hydra itself can lay out; its jobs are checked one by one.
    """
    sweep = expand_sweep(parsed.overrides) if parsed.multirun else [parsed.overrides]
    jobs = [job for _, job in _compose(sweep or [])]
    for job in jobs:
        choose_device(job.device)
        kind_of(job.logger)
        RunStore(job.runs).check_writable()
    for job in {job.cell.dataset.name: job for job in jobs}.values():
        dataset = load(job.cell.dataset, job.places)
        splitter = job.cell.splitter()
        for seed in job.seeds:
            splitter(dataset, seed)
    return jobs


def _compose(sweep: Sequence[Sequence[str]]) -> list[tuple[list[str], Settings]]:
    """The jobs of a sweep, each with its words, but those to be skipped, which are told."""
    jobs: list[tuple[list[str], Settings]] = []
    skipped: dict[str, dict[str, None]] = {}
    for overrides in sweep:
        try:
            jobs.append((list(overrides), compose_job(overrides)))
        except ImpossiblePairError as error:
            if not error.skip:
                raise
            family, variant = error.pair
            skipped.setdefault(family, {})[variant] = None
    if skipped:
        pairs = "; ".join(f"{family} with {', '.join(variants)}" for family, variants in skipped.items())
        if not jobs:
            raise UserError(f"Nothing is left to train: these cannot be combined: {pairs}.")
        _say(f"Skipped {len(sweep) - len(jobs)} of {len(sweep)} jobs, which cannot be combined: {pairs}.")
    return jobs


def _merged(jobs: Sequence[Settings]) -> list[Settings]:
    """The jobs, those of one cell as one with all their seeds."""
    merged: list[Settings] = []
    for job in jobs:
        for number, other in enumerate(merged):
            if (other.cell, other.runs) == (job.cell, job.runs):
                merged[number] = replace(other, seeds=list(dict.fromkeys([*other.seeds, *job.seeds])))
                break
        else:
            merged.append(job)
    return merged


@hydra.main(config_path=str(paths.CONF), config_name="config", version_base=VERSION_BASE)
def _application(config: DictConfig) -> None:
    """One job. Runs that fail are in the store and have been told; they do not stop a sweep."""
    register_resolvers()
    # Folders are meant from where the command was given, wherever Hydra has gone (hydra.job.chdir).
    os.chdir(get_original_cwd())
    try:
        job = settings(config)
    except ImpossiblePairError as error:
        if error.skip:
            return  # It has been told.
        raise
    try:
        task = job.cell.task()
        title, epochs = job.cell.title, job.cell.trainer.max_epochs
        shown = task.metric, task.higher_is_better, task.unit.number
        with JobProgress(title, len(job.seeds), epochs, *shown) as progress:
            outcome = execute(job, progress)
    except Exception as error:
        # The other jobs of a sweep go on.
        _say(f"{job.cell.title}: {error}" if isinstance(error, UserError) else traceback.format_exc())
        raise JobFailedError from error
    _say(outcome.in_words(len(job.seeds)))
    for seed, reason in outcome.failed.items():
        _say(f"{job.cell.title} seed {seed} failed: {reason.strip().splitlines()[-1]}")
    if outcome.failed:
        where = job.runs / f"{outcome.cell_id}-sSEED" / "error.txt"
        _say(f"The reasons are in {where}; retry_failed=true tries again.")
    for remark in outcome.remarks:
        _say(remark)
    if outcome.failed or outcome.lost:
        _not_done.append(outcome.title)


def _conclude(jobs: Sequence[Settings], table: bool) -> int:
    """Print the table that a sweep ends in, if it is wanted. Returns the exit status, from what the store now has."""
    # Imported late: refusing bad input should not wait for the statistics.
    from rethinking.analysis.summary import print_summary, states_of

    if table:
        print_summary(jobs)
    states = states_of(jobs)
    if states <= {"done"} and not _not_done:
        return ALL_DONE
    if states & {"failed", "damaged"} or _not_done:
        return SOME_FAILED
    if "missing" in states:
        _say("Some seeds are not done, as another process ended before them; the same command goes on with them.")
        return SOME_FAILED
    _say("Some seeds are left to another process; the same command later says whether they are done.")
    return SOME_ELSEWHERE


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
