"""`rethinking run`: a Hydra application; one job is one cell with all its seeds."""

import argparse
import os
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rethinking import paths
from rethinking.configuration.composition import VERSION_BASE, compose_job, expand_sweep, explain, options, pairs_table
from rethinking.configuration.settings import Settings, choose_device, register_resolvers, settings
from rethinking.data.load import load
from rethinking.errors import UserError
from rethinking.progress import JobProgress
from rethinking.runs.execute import execute
from rethinking.runs.store import RunStore

ALL_DONE, SOME_FAILED, SOME_ELSEWHERE = 0, 1, 3


# The jobs of this process with seeds that could not be done: of a finished run that was to be trained anew, the store
# still has what was there before.
_not_done: list[str] = []


class JobFailedError(Exception):
    """A job could not be carried out; why has been printed."""


def main(arguments: Sequence[str]) -> int:
    """Run the Hydra application on these arguments, or once for each row of a suite. Returns the exit status."""
    suites = [word.partition("=")[2] for word in arguments if re.match(r"\+?suite=", word)]
    if suites:
        return _run_suites(suites, [word for word in arguments if not re.match(r"\+?suite=", word)])
    # Errors come through to this function instead of being printed by Hydra.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    register_resolvers()
    parsed = get_args_parser().parse_args(list(arguments))
    # Hydra asks for every part of its own configuration in every job, the text of the help included.
    pairs = pairs_table("simple") if parsed.help else ""
    OmegaConf.register_new_resolver("pairs", lambda: pairs, replace=True)
    # Hydra composes a configuration even to show its help, so the help needs some choice.
    choice = [f"{group}={options(group)[0]}" for group in ("model", "pooling", "dataset")] if parsed.help else []
    sys.argv = ["rethinking", *arguments, *choice]
    trains = not (parsed.help or parsed.hydra_help or parsed.cfg or parsed.info or parsed.shell_completion)
    _not_done.clear()
    try:
        jobs = _check(parsed) if trains else []
        _application()
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain(error)) from error
    except JobFailedError:
        return SOME_FAILED
    return _conclude(jobs) if jobs else ALL_DONE


def _run_suites(names: Sequence[str], others: Sequence[str]) -> int:
    """A multirun for each row. The worst exit status is theirs together."""
    from rethinking.analysis.suites import load_suite

    chosen = [suite for name in names for suite in map(load_suite, name.split(","))]
    changed = [word for word in others if "=" in word and not word.startswith("-")]
    flags = [word for word in others if word not in changed and word not in ("-m", "--multirun")]
    if flags:
        raise UserError(f"suite= does not go with {flags[0]}; a suite has cells of the project only.")
    sweeps = [sweep for suite in chosen for sweep in suite.sweeps(changed)]
    # What is wrong with any row is said before work on the first.
    for sweep in sweeps:
        for job in expand_sweep(sweep):
            compose_job(job)
    statuses = [main(["-m", *sweep]) for sweep in sweeps]
    return next((status for status in (SOME_FAILED, SOME_ELSEWHERE) if status in statuses), ALL_DONE)


def _check(parsed: argparse.Namespace) -> list[Settings]:
    """Compose every job of a sweep and refuse what cannot run, before any work."""
    if any(re.match(r"\+*hydra\.(sweeper|mode)\b", override) for override in parsed.overrides):
        return []  # A sweep that only Hydra itself can lay out; its jobs are checked one by one.
    if parsed.config_dir and not Path(parsed.config_dir).is_dir():
        raise UserError(f"--config-dir {parsed.config_dir}: there is no such folder.")
    sweep = expand_sweep(parsed.overrides, parsed.config_dir) if parsed.multirun else [parsed.overrides]
    jobs = [compose_job(overrides, parsed.config_dir) for overrides in sweep]
    for job in jobs:
        choose_device(job.device)
        RunStore(job.runs).check_writable()
    for job in {job.cell.dataset.name: job for job in jobs}.values():
        dataset = load(job.cell.dataset, job.places)
        splitter = job.cell.splitter()
        for seed in job.seeds:
            splitter(dataset, seed)
    return jobs


@hydra.main(config_path=str(paths.CONF), config_name="config", version_base=VERSION_BASE)
def _application(config: DictConfig) -> None:
    """One job. Runs that fail are in the store and have been told; they do not stop a sweep."""
    register_resolvers()
    job = settings(config)
    try:
        task = job.cell.task()
        title, epochs = job.cell.title, job.cell.trainer.max_epochs
        with JobProgress(title, len(job.seeds), epochs, task.metric, task.unit.number) as progress:
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


def _conclude(jobs: Sequence[Settings]) -> int:
    """Print the table that a sweep ends in. Returns the exit status, from what the store now has."""
    # Imported late: refusing bad input should not wait for the statistics.
    from rethinking.analysis.summary import print_summary

    states = print_summary(jobs)
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
