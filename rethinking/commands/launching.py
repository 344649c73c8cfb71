"""Has a launcher of Hydra's carry out jobs: in this process, in several of this machine, or on a cluster."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType

import psutil
from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from rethinking.commands.job import Told, here_is_the_command, terminal
from rethinking.configuration.composition import hydra_started, in_one_sentence
from rethinking.configuration.launchers import GROUP, check_installed
from rethinking.runs.interrupts import ENDING, ORDINARY

# Seconds that processes of this machine have to save what they train, before a launcher ends them with the command.
GRACE = 3.0


class ChosenLauncher:
    """The launcher of Hydra's that is chosen on the command line, ready for jobs.

    It is given all jobs of a command at once, so that a cluster has all of them in its queue and no core waits for the
    rest of a row; a multirun of Hydra's takes only the product of some values.
    """

    def __init__(self, words: Sequence[str], task: Callable[[DictConfig], Told]) -> None:
        """words: those of the first job. task: carries out a job, perhaps in another process: it is pickled, as is what
        it returns. Raises UserError if the launcher is not installed.
        """
        here_is_the_command()
        with in_one_sentence(words), hydra_started():
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            self._config = hydra.compose_config("config", list(words), RunMode.MULTIRUN)
            self._name = self._config.hydra.runtime.choices[GROUP]
            check_installed(self._name, self._config.hydra.launcher._target_)
            self._callbacks = Callbacks(self._config)
            context = HydraContext(config_loader=hydra.config_loader, callbacks=self._callbacks)
            self._launcher = Plugins.instance().instantiate_launcher(context, task, self._config)

    @property
    def is_here(self) -> bool:
        """Whether jobs are carried out in this process, one after another."""
        return isinstance(self._launcher, BasicLauncher)

    def carry_out(self, jobs: Sequence[Sequence[str]]) -> bool:
        """Carry out jobs, each of words as one types them; say again what they said elsewhere. Whether all are done."""
        own = list(map(_without_hydras, jobs))
        self._callbacks.on_multirun_start(config=self._config, config_name="config")
        try:
            with nullcontext() if self.is_here else _others_first():
                returned = self._launcher.launch(own, initial_job_idx=0)
        except Exception as error:
            # A job that was killed, or a batch system that refuses it; what was finished is in the store.
            _say(f"The launcher {self._name} gave up: {_first_and_last_line(error)}")
            return False
        self._callbacks.on_multirun_end(config=self._config, config_name="config")
        told = list(map(_told, returned))
        for job in told:
            if job.where != terminal():
                for sentence in job.sentences:
                    _say(sentence)
        return all(job.done for job in told)


def _told(job: JobReturn) -> Told:
    return job.return_value if job.status == JobStatus.COMPLETED else Told(False, [repr(job._return_value)], (0, 0))


@contextmanager
def _others_first() -> Iterator[None]:
    """While jobs run in other processes: these save what they have before Ctrl-C or SIGTERM ends the command.

    Ctrl-C reaches all processes of a terminal, SIGTERM is handed on to those that were started here.
    """

    def heed(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    process.terminate()
        time.sleep(GRACE)
        raise ENDING[signal.Signals(number)]

    numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) in ORDINARY]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    before = {number: signal.signal(number, heed) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _without_hydras(words: Sequence[str]) -> list[str]:
    """What a job's configuration is composed of besides what is said to Hydra, which a launcher adds itself."""
    parser = OverridesParser.create()
    return [word for word in words if not parser.parse_override(word).is_hydra_override()]


def _first_and_last_line(error: Exception) -> str:
    """What an error says, without the log that some launchers put into it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" -")] or [type(error).__name__]
    return " … ".join(dict.fromkeys([lines[0], lines[-1]]))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
