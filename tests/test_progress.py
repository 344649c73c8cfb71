"""What a log says of a job is in the unit of its metric."""

import pytest
import torch

from rethinking.progress import JobProgress
from rethinking.runs.execute import Outcome
from rethinking.training.state import GroupState


@pytest.mark.parametrize(("metric", "value", "shown"), [("mae", 0.3871, "val 0.387"), ("accuracy", 0.8, "val 80.0")])
def test_the_line_of_a_log(metric: str, value: float, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    progress = JobProgress("graclus / learned / zinc", seeds=2, max_epochs=10)
    progress._logged = float("-inf")
    state = GroupState.start([0], torch.zeros(1, 1), {}, [], 0.1, True)
    state.epoch, state.histories = 1, [[{"val_loss": 1.0, f"val_{metric}": value}]]
    progress(state, Outcome("", ""))
    assert capsys.readouterr().err == f"graclus / learned / zinc: epoch 1, 0/2 done, {shown}\n"
