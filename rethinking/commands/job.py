"""A job of `rethinking run`, a cell with all its seeds: in the command's process, or in one that a launcher starts."""

import os
import sys
import traceback
from dataclasses import dataclass, field

from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_original_cwd
from omegaconf import DictConfig

from rethinking.configuration.launchers import expect_presets
from rethinking.configuration.resolvers import register_resolvers
from rethinking.configuration.settings import ImpossiblePairError, Settings, settings
from rethinking.errors import UserError
from rethinking.operators import before_compilation
from rethinking.progress import JobProgress
from rethinking.runs.execute import execute
from rethinking.runs.reading import FAILED
from rethinking.training.device import take_turns

# A launcher's process composes its job itself.
expect_presets()
# The process of the command. One that a launcher starts imports this module anew, and has none.
_command: int | None = None


def here_is_the_command() -> None:
    """Say that this process is the command's own: its terminal is that of one job at a time, and so is its GPU."""
    global _command
    _command = os.getpid()


def terminal() -> tuple[int, int]:
    """What is written to: the same for two processes if both write to one terminal or file."""
    status = os.fstat(2)
    return status.st_dev, status.st_ino


@dataclass
class Told:
    """What became of a job, for the command. done: whether all its seeds are. where: where `sentences` were written."""

    done: bool = True
    sentences: list[str] = field(default_factory=list)
    where: tuple[int, int] = field(default_factory=terminal)

    def say(self, text: str) -> None:
        """Write a sentence, and keep it."""
        self.sentences.append(text)
        print(text, file=sys.stderr, flush=True)


def train(config: DictConfig) -> Told:
    """One job. Runs that fail are in the store and are told, as is what stops the job; neither stops a sweep."""
    register_resolvers()
    # Folders are meant from where the command was given, wherever Hydra has gone (hydra.job.chdir).
    os.chdir(get_original_cwd())
    told = Told()
    title = "A job"
    try:
        job = settings(config)
        title = job.cell.title
        if os.getpid() == _command:
            _train(job, told, live=True)
        else:
            take_turns(HydraConfig.get().job.num)
            with before_compilation(tell_compilation):
                _train(job, told, live=False)
    except ImpossiblePairError as error:
        if not error.skip:  # Otherwise it has been told.
            told.done = False
            told.say(f"{title}: {error}")
    except Exception as error:
        told.done = False
        told.say(f"{title}: {error}" if isinstance(error, UserError) else traceback.format_exc())
    return told


def tell_compilation() -> None:
    """Say that a first run takes a while."""
    print("Compiling loops for this processor; they are kept for later runs.", file=sys.stderr, flush=True)


def _train(job: Settings, told: Told, live: bool) -> None:
    task = job.cell.task()
    shown = task.metric, task.higher_is_better, task.unit.number
    with JobProgress(job.cell.title, len(job.seeds), job.cell.trainer.max_epochs, *shown, live) as progress:
        outcome = execute(job, progress)
    told.done = not outcome.failed and not outcome.lost
    told.say(outcome.in_words(len(job.seeds)))
    for seed, reason in outcome.failed.items():
        told.say(f"{job.cell.title} seed {seed} failed: {(reason.strip().splitlines() or ['no reason recorded'])[-1]}")
    if outcome.failed:
        where = job.runs / f"{outcome.cell_id}-sSEED" / FAILED
        told.say(f"The reasons are in {where}; retry_failed=true tries again.")
    for remark in outcome.remarks:
        told.say(remark)
