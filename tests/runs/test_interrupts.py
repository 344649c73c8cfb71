"""Ctrl-C is not lost when what it strikes swallows it."""

import signal

import pytest

from rethinking.runs.interrupts import Interrupts


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
