"""What a log says of a job is in the unit of its metric, and says how long it takes."""

import time
from types import SimpleNamespace

import pytest

from rethinking import progress
from rethinking.progress import JobProgress, in_words
from rethinking.tasks.classification import Classification
from rethinking.tasks.regression import Regression


@pytest.mark.parametrize(
    ("task", "scores", "shown"),
    [(Regression, [0.3, 0.4742], "best val 0.387"), (Classification, [0.75, 0.85], "best val 80.0")],
)
def test_the_lines_of_a_log(
    task: type[Classification | Regression],
    scores: list[float],
    shown: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "LOG_EVERY_SECONDS", -1.0)
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    job = JobProgress("graclus / learned / zinc", 3, 10, task.metric, task.higher_is_better, task.unit.number)

    def best(name: str, higher_is_better: bool) -> list[float]:
        assert (name, higher_is_better) == (f"val_{task.metric}", task.higher_is_better)
        return scores

    states = [SimpleNamespace(epoch=epoch, seeds=[0, 1], best=best) for epoch in (1, 2)]
    for state in states:
        job(state, 0)
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"graclus / learned / zinc: epoch 1, 2 together, 0/3 done, {shown}"
    # Two seeds an epoch, of which 10 · 3 - 2 · 2 are left; the clock goes on by 10 whenever it is looked at.
    assert second == f"graclus / learned / zinc: epoch 2, 2 together, 0/3 done, {shown}, at most 6 min left"


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.2, "3 s"), (120, "2 min"), (5400, "1.5 h"), (36000, "10 h"), (360000, "100 h")]
)
def test_nobody_knows_times_to_the_second(seconds: float, text: str) -> None:
    assert in_words(seconds) == text
