"""What only a CUDA device can show: recorded steps give the numbers of the CPU, and wait for nothing."""

import warnings

import pytest
import torch

from rethinking import capture
from rethinking.data.split import StratifiedSplit
from rethinking.layers.initial import initialise
from rethinking.tasks.classification import Classification
from rethinking.training.group import ReplicaGroup
from tests.conftest import CPU, in_double, random_dataset
from tests.layers.test_molecules import molecules
from tests.test_pairs import RECORDED, cell

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch finds no CUDA device; tests/training/test_captured.py has the rest"
)


def group(model: str, pooling: str, device: torch.device, data: str = "directed") -> ReplicaGroup:
    dataset = in_double(molecules() if data == "molecules" else random_dataset(7, directed=True))
    chosen, task, seeds = cell(model, pooling), Classification(), range(3)
    network = chosen.build(dataset, task)(3)
    initialise(network, seeds)
    splits = [StratifiedSplit(0.2, 0.2)(dataset, seed) for seed in seeds]
    return ReplicaGroup(network.to(device), dataset, splits, seeds, task, chosen.trainer, device)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("data", ["directed", "molecules"])
@pytest.mark.parametrize(("model", "pooling"), RECORDED)
def test_epochs_give_the_numbers_of_the_cpu(model: str, pooling: str, data: str) -> None:
    """Recorded, and without a warning that a recording differs from its step."""
    ours, expected = (group(model, pooling, device, data) for device in (torch.device("cuda"), CPU))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for epoch in (1, 2):
            assert torch.allclose(ours.train(epoch).cpu(), expected.train(epoch))
    assert ours._captured is not None and ours._captured._recorded
    # Adam makes much of rounding where a gradient is next to nothing; a step moves a weight by 1e-3.
    assert torch.allclose(ours.state.parameters.cpu(), expected.state.parameters, atol=5e-5)
    prediction, _ = ours.predict("val", 1, 8)
    assert torch.allclose(prediction.cpu(), expected.predict("val", 1, 8)[0], atol=1e-3)


@pytest.mark.parametrize(("model", "pooling"), RECORDED)
def test_a_step_that_is_run_again_waits_for_nothing(model: str, pooling: str) -> None:
    ours = group(model, pooling, torch.device("cuda"))
    ours.train(1)
    steps = ours._supervised_steps(1, ours.phase(1))
    next(steps)
    torch.cuda.set_sync_debug_mode("error")
    try:
        next(steps)
    finally:
        torch.cuda.set_sync_debug_mode("default")
        steps.close()


def test_a_recording_that_differs_is_not_used() -> None:
    """What the host decides in a step is decided once, when it is recorded."""
    x, calls = torch.zeros(2, 3, device="cuda"), []

    def step() -> None:
        calls.append(1)
        x.add_(len(calls))

    with pytest.warns(UserWarning, match="gives other numbers"):
        run = capture.record(step, [x], [x], capture.new_pool(x.device))
    assert run is step and not x.any()


def test_a_step_that_cannot_be_recorded_is_run_as_it_is() -> None:
    x = torch.zeros(2, 3, device="cuda")

    def step() -> None:
        x.add_(float(x.sum()) + 1)

    with pytest.warns(UserWarning, match="could not be recorded"):
        run = capture.record(step, [x], [x], capture.new_pool(x.device))
    run()
    assert bool((x == 1).all())
