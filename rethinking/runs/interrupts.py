"""Makes sure that Ctrl-C and the signals of a batch system end a job, or keep its state, wherever they strike."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


class Terminated(KeyboardInterrupt):
    """The process was told to end (SIGTERM); otherwise as Ctrl-C."""

    status = 143


ENDING: dict[signal.Signals, type[KeyboardInterrupt]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
}
# What a process has that nobody has told otherwise; who starts it in the background of a script has it ignore Ctrl-C,
# and some batch systems handle signals themselves.
ORDINARY = (signal.SIG_DFL, signal.default_int_handler)


class Interrupts:
    """While open, remembers Ctrl-C and SIGTERM, and at SIGUSR1 calls `save`.

    Python raises KeyboardInterrupt at the point it has reached, and compiled code that is called there may turn
    it into an error of its own or drop it. So it is remembered, too: `check` raises it again.
    """

    def __init__(self) -> None:
        self.happened: type[KeyboardInterrupt] | None = None
        self.save: Callable[[], None] | None = None
        self._outer: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in (*ENDING, signal.SIGUSR1):
                if signal.getsignal(number) in ORDINARY:
                    self._outer[number] = signal.signal(number, self._heed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._outer.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises KeyboardInterrupt if there was a Ctrl-C, `Terminated` after SIGTERM."""
        if self.happened:
            raise self.happened

    def _heed(self, number: int, frame: FrameType | None) -> None:
        ending = ENDING.get(signal.Signals(number))
        if ending is None:
            if self.save is not None:
                self.save()
            return
        self.happened = ending
        raise ending
