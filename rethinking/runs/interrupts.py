"""Makes sure that Ctrl-C and the signals of a batch system end a job, or keep its state, wherever they strike."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from rethinking.errors import UserError


class Terminated(KeyboardInterrupt):
    """The process was told to end (SIGTERM); otherwise as Ctrl-C."""

    status = 143


# What a process has that nobody has told otherwise; who starts it in the background of a script has it ignore Ctrl-C.
ORDINARY = (signal.SIG_DFL, signal.default_int_handler)
# What batch systems send some time before they end a job (submitit: SIGUSR2), if they handle it in the process itself.
LAST_CALL = signal.SIGUSR2


class LastCall(KeyboardInterrupt):
    """A batch system is about to end the job; what it does then is done when all is saved."""


ENDING: dict[signal.Signals, type[KeyboardInterrupt]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
    LAST_CALL: LastCall,
}


class Interrupts:
    """While open, remembers Ctrl-C and SIGTERM, and at SIGUSR1 calls `save`.

    Python raises KeyboardInterrupt at the point it has reached, and compiled code that is called there may turn
    it into an error of its own or drop it. So it is remembered, too: `check` raises it again.

    What a batch system has in the process for signals of its own is called all the same: at SIGTERM after `save`, at
    SIGUSR2 in the end. That may put the job back into the queue and leave the process.
    """

    def __init__(self) -> None:
        self.happened: type[KeyboardInterrupt] | None = None
        self.save: Callable[[], None] | None = None
        self._outer: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
                if signal.getsignal(number) in ORDINARY:
                    self._take(number, self._heed)
            for number, heed in ((signal.SIGTERM, self._save_first), (LAST_CALL, self._heed)):
                if number not in self._outer and callable(signal.getsignal(number)):
                    self._take(number, heed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._outer.items():
            signal.signal(number, handler)
        if self.happened is LastCall:
            try:
                self._outer[LAST_CALL](LAST_CALL, None)
            except Exception as refusal:  # So submitit ends a job that it does not put back into the queue.
                raise UserError(
                    f"the batch system ends this job: {refusal} What trained goes on after its last whole epoch; the "
                    "same command does the rest."
                ) from refusal

    def check(self) -> None:
        """Raises KeyboardInterrupt if there was a Ctrl-C, `Terminated` after SIGTERM."""
        if self.happened:
            raise self.happened

    def _take(self, number: signal.Signals, handler: Callable[[int, FrameType | None], None]) -> None:
        self._outer[number] = signal.signal(number, handler)

    def _heed(self, number: int, frame: FrameType | None) -> None:
        ending = ENDING.get(signal.Signals(number))
        if ending is None:
            self._save()
            return
        self.happened = ending
        raise ending

    def _save_first(self, number: int, frame: FrameType | None) -> None:
        self._save()
        self._outer[signal.Signals(number)](number, frame)

    def _save(self) -> None:
        if self.save is not None:
            self.save()
