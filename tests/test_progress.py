"""What a log says of a job is in the unit of its metric."""

from types import SimpleNamespace

import pytest

from rethinking.progress import JobProgress
from rethinking.runs.execute import Outcome


@pytest.mark.parametrize(("metric", "value", "shown"), [("mae", 0.3871, "val 0.387"), ("accuracy", 0.8, "val 80.0")])
def test_the_line_of_a_log(metric: str, value: float, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    progress = JobProgress("graclus / learned / zinc", seeds=2, max_epochs=10)
    progress._logged = float("-inf")
    progress([SimpleNamespace(history=[{"val_loss": 1.0, f"val_{metric}": value}])], Outcome("", ""))  # type: ignore
    assert capsys.readouterr().err == f"graclus / learned / zinc: epoch 1, 0/2 done, {shown}\n"
