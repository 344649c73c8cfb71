"""Makes sure that Ctrl-C ends a job, wherever it strikes."""

import signal
import threading
from types import FrameType, TracebackType


class Interrupts:
    """While open, remembers Ctrl-C.

    Python raises KeyboardInterrupt at the point it has reached, and compiled code that is called there may turn
    it into an error of its own or drop it. So it is remembered, too: `check` raises it again.
    """

    def __init__(self) -> None:
        self.happened = False

    def __enter__(self) -> "Interrupts":
        self._outer = None
        # A process started to ignore Ctrl-C (in the background of a script) goes on ignoring it.
        heeded = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
        if heeded and threading.current_thread() is threading.main_thread():
            self._outer = signal.signal(signal.SIGINT, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._outer is not None:
            signal.signal(signal.SIGINT, self._outer)

    def check(self) -> None:
        """Raises KeyboardInterrupt if there was a Ctrl-C."""
        if self.happened:
            raise KeyboardInterrupt

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.happened = True
        raise KeyboardInterrupt
