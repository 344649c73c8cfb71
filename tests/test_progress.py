"""What a log says of a job is in the unit of its metric."""

from types import SimpleNamespace

import pytest

from rethinking.progress import JobProgress
from rethinking.tasks.classification import Classification
from rethinking.tasks.regression import Regression


@pytest.mark.parametrize(
    ("task", "values", "shown"), [(Regression, [0.3, 0.4742], "val 0.387"), (Classification, [0.75, 0.85], "val 80.0")]
)
def test_the_line_of_a_log(
    task: type[Classification | Regression], values: list[float], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = JobProgress("graclus / learned / zinc", 2, 10, task.metric, task.unit.number)
    progress._logged = float("-inf")
    history = {f"val_{task.metric}": values, "val_loss": [9.0, 9.0]}
    progress(SimpleNamespace(epoch=1, seeds=[0, 1], latest=history.__getitem__), 0)
    assert capsys.readouterr().err == f"graclus / learned / zinc: epoch 1, 2 together, 0/2 done, {shown}\n"
