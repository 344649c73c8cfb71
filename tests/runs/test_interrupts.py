"""Ctrl-C is not lost when what it strikes swallows it; what a batch system has in the process is done after saving."""

import signal
from collections.abc import Callable
from types import FrameType

import pytest

from rethinking.errors import UserError
from rethinking.runs.interrupts import Interrupts, LastCall

Handler = Callable[[int, FrameType | None], None]


def test_a_swallowed_interrupt_is_raised_again(request: pytest.FixtureRequest) -> None:
    # A background job is born with Ctrl-C ignored.
    original = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, original))
    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        interrupts.check()
        with pytest.raises(SystemError):
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt as error:
                raise SystemError("as compiled code may report it") from error
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.fixture
def handle(request: pytest.FixtureRequest) -> Callable[[signal.Signals, Handler], None]:
    """Puts a handler of somebody else's in place, for the time of a test."""

    def put(number: signal.Signals, handler: Handler) -> None:
        before = signal.signal(number, handler)
        request.addfinalizer(lambda: signal.signal(number, before))

    return put


def test_the_last_call_of_a_batch_system_ends_training_and_is_answered_when_all_is_saved(
    handle: Callable[[signal.Signals, Handler], None],
) -> None:
    happened: list[str] = []

    def requeue(number: int, frame: FrameType | None) -> None:
        happened.append("put back into the queue")
        raise SystemExit

    handle(signal.SIGUSR2, requeue)
    with pytest.raises(SystemExit), Interrupts() as interrupts:
        try:
            signal.raise_signal(signal.SIGUSR2)
        except LastCall:
            happened.append("saved")
            with pytest.raises(LastCall):
                interrupts.check()
            raise
    assert happened == ["saved", "put back into the queue"]
    assert signal.getsignal(signal.SIGUSR2) is requeue


def test_a_job_that_is_not_put_back_says_so(handle: Callable[[signal.Signals, Handler], None]) -> None:
    """By an error of the job, not of the run that happened to train: that would be recorded as failed."""

    def refuse(number: int, frame: FrameType | None) -> None:
        raise RuntimeError("Timed out too often.")

    handle(signal.SIGUSR2, refuse)
    with pytest.raises(UserError, match=r"ends this job: Timed out too often\. What trained goes on"), Interrupts():
        try:
            signal.raise_signal(signal.SIGUSR2)
        except Exception:
            pytest.fail("an error of the batch system's was taken for one of the run's")


def test_a_batch_system_that_sees_to_sigterm_itself_is_left_to_it_after_saving(
    handle: Callable[[signal.Signals, Handler], None],
) -> None:
    happened: list[str] = []
    handle(signal.SIGTERM, lambda number, frame: happened.append("bypassed"))
    with Interrupts() as interrupts:
        interrupts.save = lambda: happened.append("saved")
        signal.raise_signal(signal.SIGTERM)
    assert happened == ["saved", "bypassed"]
