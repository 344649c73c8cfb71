"""A recorded step is held against the step, and nothing has changed when it has been recorded."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from rethinking import capture
from tests.operators import plain_forms


def test_recording_leaves_everything_as_it_was() -> None:
    x, untouched = torch.ones(2, 3), torch.arange(6.0).view(2, 3)
    run = capture.record(lambda: x.mul_(2), [x], [x], capture.new_pool(x.device))
    assert (x == 1).all() and torch.equal(untouched, torch.arange(6.0).view(2, 3))
    run()
    run()
    assert (x == 4).all()


def refused(step: Callable[[], None], device: torch.device, pool: object) -> Callable[[], None]:
    raise RuntimeError("operation not permitted when stream is capturing\nand much more")


@pytest.mark.parametrize(
    ("recording", "reason"),
    [(refused, "not permitted when stream is capturing$"), (lambda step, *others: lambda: None, "other numbers")],
)
def test_a_step_that_cannot_be_recorded_is_run_as_it_is(
    recording: Callable[..., Callable[[], None]], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "_recorded", recording)
    x = torch.ones(2, 3)

    def step() -> None:
        x.mul_(2)

    with pytest.warns(UserWarning, match=reason):
        run = capture.record(step, [x], [x], None)
    assert run is step and (x == 1).all()


@pytest.mark.parametrize(("off", "alike"), [(1e-6, True), (0.1, False), (torch.nan, False)])
def test_numbers_are_compared_row_by_row(off: float, alike: bool) -> None:
    """A row of small numbers is not judged by one of large ones; where the step gives no number, nor may it."""
    expected = torch.tensor([[1000.0, 2.0], [torch.nan, 0.0], [0.5, 0.0], [torch.inf, 1.0]])
    result = expected.clone()
    result[2, 0] += off
    assert capture._alike(result, expected) == alike


def test_arrays_are_sent() -> None:
    to = torch.zeros(2, 3, dtype=torch.long)
    capture.send(np.arange(6).reshape(2, 3), to)
    assert to.flatten().tolist() == list(range(6))
    assert not capture.pays(to.device)


def test_it_pays_on_a_gpu_unless_plain_steps_are_asked_for() -> None:
    gpu = torch.device("cuda")
    assert capture.pays(gpu) and not capture.pays(torch.device("cpu"))
    with plain_forms():
        assert not capture.pays(gpu)
