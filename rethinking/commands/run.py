"""`rethinking run`: composes jobs by Hydra's rules, checks them all, and has a launcher carry them out."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig, OmegaConf

from rethinking import paths
from rethinking.commands.job import here_is_the_command, tell_compilation, train
from rethinking.commands.launching import ChosenLauncher
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
    refuse_unknown,
)
from rethinking.configuration.settings import ImpossiblePairError, Settings
from rethinking.data.load import load
from rethinking.errors import UserError
from rethinking.operators import before_compilation
from rethinking.runs.store import RunStore
from rethinking.tracking.tracker import kind_of
from rethinking.training.device import choose_device

ALL_DONE, SOME_FAILED, SOME_ELSEWHERE = 0, 1, 3
SUITE = r"\+?suite="
# In place of a number of seeds, and what then changes the question.
UNTIL_DECIDED, QUESTION = "seeds=until_decided", "compare."


class JobFailedError(Exception):
    """A job is not done; why has been told."""


def main(arguments: Sequence[str]) -> int:
    """Train what the arguments ask for, or answer them as Hydra does. Returns the exit status."""
    parsed = _parse(arguments)
    with paths.own_configuration(parsed.config_dir), before_compilation(tell_compilation):
        if parsed.help or not parsed.trains:
            return _answer(arguments, parsed)
        suites, studies = _suites_and_studies(parsed)
        sweeps = [parsed.overrides] if not suites and not studies else _sweeps(suites, parsed)
        measured = [_measure(study, parsed) for study in studies]
        if not sweeps:
            return _worst(measured)
        if UNTIL_DECIDED in parsed.overrides:
            return _worst([*measured, _run_until_decided(sweeps)])
        several = bool(suites) or parsed.multirun or asks_for_several(parsed.overrides)
        return _worst([*measured, _run(sweeps) if several else train_jobs(sweeps, table=True)])


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, which are Hydra's; `trains` is added: whether they ask for more than an answer."""

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; see rethinking run --help.")

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    parsed = parser.parse_args(list(arguments))
    answers = (parsed.help, parsed.hydra_help, parsed.cfg, parsed.info, parsed.shell_completion)
    parsed.trains = not any(answers)
    if parsed.trains and (parsed.config_name or parsed.config_path or parsed.experimental_rerun):
        raise UserError(
            "Training starts from the project's conf/config.yaml; files of your own are added by --config-dir."
        )
    if parsed.shell_completion and "query" in " ".join(parsed.overrides) and "COMP_LINE" not in os.environ:
        raise UserError("A shell asks for completion with its line in COMP_LINE; there is none.")
    return parsed


def _run(sweeps: Sequence[Sequence[str]]) -> int:
    """Train the jobs of all sweeps together. Returns the exit status."""
    expanded = [expand_sweep(sweep) for sweep in sweeps]
    known = [jobs for jobs in expanded if jobs is not None]
    if len(known) < len(expanded):
        return _worst([_by_hydra(sweep) for sweep in sweeps])
    return train_jobs([job for jobs in known for job in jobs], table=True)


def train_jobs(jobs: Sequence[Sequence[str]], table: bool = False) -> int:
    """Train jobs, each of words as one types them. table: whether they end in their table. Returns the exit status."""
    composed = _compose(jobs)
    settings = [job for _, job in composed]
    launcher = ChosenLauncher(composed[0][0], train)
    _check(settings, launcher.is_here)
    all_done = launcher.carry_out([words for words, _ in composed])
    return _conclude(_merged(settings), table, all_done)


def _by_hydra(sweep: Sequence[str]) -> int:
    """A sweep that only a sweeper of Hydra's can lay out; its jobs are checked one by one. Returns the exit status."""
    here_is_the_command()
    choices = as_choices(sweep)
    try:
        with in_one_sentence(sweep):
            _hydra(["-m", *(choices.get(word, word) for word in sweep)])
    except JobFailedError:
        return SOME_FAILED
    return ALL_DONE


def _answer(arguments: Sequence[str], parsed: argparse.Namespace) -> int:
    """What Hydra answers without training: its help, a configuration, words for a shell. Returns the exit status."""
    if any(re.match(SUITE, word) for word in parsed.overrides):
        raise UserError("suite= does not go with options that only ask; `rethinking status SUITE` says what it lacks.")
    try:
        with in_one_sentence(parsed.overrides):
            if parsed.cfg or parsed.info:
                refuse_unknown(parsed.overrides)
            # Hydra composes a configuration even to show its help, so the help needs some choice.
            _hydra([*arguments, *(any_choice() if parsed.help else [])], pairs_table("simple") if parsed.help else "")
    except ValueError as error:
        raise UserError(f"{error}; see rethinking run --help.") from error
    return ALL_DONE


def _hydra(arguments: Sequence[str], pairs: str = "") -> None:
    """One Hydra application. pairs: text of the help, which Hydra asks for in every job."""
    # Errors come through to this function instead of being printed by Hydra.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    prepare_hydra()
    OmegaConf.register_new_resolver("pairs", lambda: pairs, replace=True)
    sys.argv = ["rethinking", *arguments]
    _application()


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
    from rethinking.commands.until_decided import Job, plan, print_decisions, train_until_decided

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
    statuses = train_until_decided(list(jobs.values()), pairs, asked, train_jobs)
    status = _conclude([replace(job.settings, seeds=list(range(job.seeds))) for job in jobs.values()], True, True)
    print_decisions(pairs, asked)
    return _worst([*statuses, status])


def _worst(statuses: Sequence[int]) -> int:
    """The exit status of several sweeps together."""
    return next((status for status in (SOME_FAILED, SOME_ELSEWHERE) if status in statuses), ALL_DONE)


def _check(jobs: Sequence[Settings], here: bool) -> None:
    """Refuse what cannot run, before any work. here: whether jobs run in this process, on its device."""
    for job in jobs:
        if here:
            choose_device(job.device)
        kind_of(job.logger)
        RunStore(job.runs).check_writable()
    for job in {job.cell.dataset.name: job for job in jobs}.values():
        dataset = load(job.cell.dataset, job.places)
        splitter = job.cell.splitter()
        for seed in job.seeds:
            splitter(dataset, seed)


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
    """One job that Hydra itself has laid out."""
    if not train(config).done:
        raise JobFailedError


def _conclude(jobs: Sequence[Settings], table: bool, all_done: bool) -> int:
    """Print the table that a sweep ends in, if it is wanted. Returns the exit status, from what the store now has.

    all_done: whether each job did what it was asked for; of a finished run that was to be trained anew and was not, the
    store still has what was there before.
    """
    # Imported late: refusing bad input should not wait for the statistics.
    from rethinking.analysis.summary import print_summary, states_of

    if table:
        print_summary(jobs)
    states = states_of(jobs)
    if states <= {"done"} and all_done:
        return ALL_DONE
    if states & {"failed", "damaged"} or not all_done:
        return SOME_FAILED
    if "missing" in states:
        _say("Some seeds are not done, as another process ended before them; the same command goes on with them.")
        return SOME_FAILED
    _say("Some seeds are left to another process; the same command later says whether they are done.")
    return SOME_ELSEWHERE


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
