"""What every task of `conf/tasks.yaml` is held to, and what its numbers mean."""

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hydra.utils import instantiate

from rethinking import paths
from rethinking.errors import UserError
from rethinking.tasks.classification import Classification
from rethinking.tasks.regression import Regression
from rethinking.tasks.task import Measure, Task, Unit
from tests.conftest import random_dataset

TASKS = yaml.safe_load((paths.CONF / "tasks.yaml").read_text())["tasks"]


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> Task:
    return instantiate(TASKS[request.param])


def outputs(task: Task, graphs: int = 50) -> tuple[torch.Tensor, torch.Tensor]:
    """Random predictions and targets of three replicas."""
    width = 1 if isinstance(task, Regression) else 2
    y = torch.arange(3 * graphs).view(3, graphs) % 2
    raw = torch.randn(3, graphs, width, generator=torch.Generator().manual_seed(0))
    return raw, y.float() if width == 1 else y


def test_a_score_is_that_of_what_is_recorded(task: Task) -> None:
    raw, y = outputs(task)
    scores = task.score(raw, y)
    assert scores.dtype == torch.float64 and scores.shape == (3,)
    for r in range(3):
        columns = task.predictions(raw[r].numpy(), y[r].numpy())
        assert {"target", "prediction"} <= set(columns) and all(len(column) == 50 for column in columns.values())
        assert task.metric_of(columns) == scores[r].item()
        order = np.random.default_rng(r).permutation(50)
        assert task.metric_of({name: column[order] for name, column in columns.items()}) == scores[r].item()


def test_what_graphs_contribute_has_the_score_as_its_mean(task: Task) -> None:
    """Also where classes are uneven and some outputs are equal."""
    raw, y = outputs(task)
    for r in range(3):
        values = np.round(raw[r].numpy(), 1 if r else 4)
        columns = task.predictions(values, np.where(np.arange(50) < 30, 0, y[r].numpy()).astype(y.numpy().dtype))
        scores = task.graph_scores(columns)
        assert scores is not None and scores.shape == (50,) and scores.dtype == np.float64
        assert scores.mean() == pytest.approx(task.metric_of(columns))


def test_contributions_to_the_area_under_the_curve_have_delongs_variance() -> None:
    """The sum of the variances of both classes' placement values over their numbers, up to n / (n − 1)."""
    task = instantiate(TASKS["molhiv"])
    rng = np.random.default_rng(0)
    target = (np.arange(400) < 100).astype(int)
    logit = rng.normal(size=400) + target
    scores = task.graph_scores({"target": target, "prediction": logit})
    above = (logit[:100, None] > logit[None, 100:]).astype(float)
    expected = above.mean(axis=1).var() / 100 + above.mean(axis=0).var() / 300
    assert ((scores - scores.mean()) ** 2).sum() / 400**2 == pytest.approx(expected)
    assert np.isnan(task.graph_scores({"target": np.ones(3), "prediction": logit[:3]})).all()


def test_better_predictions_have_a_better_score(task: Task) -> None:
    raw, y = outputs(task)
    right = y[..., None] if isinstance(task, Regression) else torch.nn.functional.one_hot(y).float()
    gain = task.score(right, y) - task.score(raw, y)
    assert (gain > 0 if task.higher_is_better else gain < 0).all()
    assert (task.loss(right, y) < task.loss(raw, y)).all()


def test_a_measure_is_read_as_it_is_written(task: Task) -> None:
    stored = yaml.safe_load(yaml.safe_dump(asdict(task.measure)))
    assert Measure.read(stored) == task.measure and task.measure.metric == task.metric


@pytest.mark.parametrize("margin", [None, 0, -0.01, math.nan, math.inf, "wide", True])
def test_a_margin_is_a_number_above_zero(margin: Any) -> None:
    with pytest.raises(UserError, match=r"Regression has the margin .*difference of mae does not matter"):
        _ = Regression(margin).measure


def test_targets_are_classes_or_numbers() -> None:
    dataset = random_dataset(0)
    assert Classification().targets(dataset) is dataset.y and Regression().targets(dataset).dtype == np.float32
    numbers = random_dataset(0)
    object.__setattr__(numbers, "y", np.linspace(0, 1, 30, dtype=np.float32))
    with pytest.raises(UserError, match="random has numbers to predict, no classes"):
        Classification().targets(numbers)


def test_the_log_probability_is_of_the_predicted_class() -> None:
    columns = Classification().predictions(np.log(np.array([[0.25, 0.75], [0.6, 0.4]])), np.array([1, 1]))
    assert columns["prediction"].tolist() == [1, 0]
    assert np.exp(columns["log_probability"]) == pytest.approx([0.75, 0.6])


def test_numbers_that_are_not_finite_have_no_error() -> None:
    raw = torch.tensor([[[1.0], [math.inf]], [[1.0], [1.0]]])
    scores = Regression().score(raw, torch.zeros(2, 2))
    assert math.isnan(scores[0]) and scores[1] == 1.0


def test_units() -> None:
    accuracy, error = Unit("accuracy", 100, 1), Unit("MAE", 1, 3)
    # On which side of zero a limit is can be seen.
    assert accuracy.interval(-0.783, -1.556, -0.010) == "-0.8 [-1.6, -0.01]"
    assert accuracy.interval(0.8, -0.0004, 1.7) == "+0.8 [-0.0004, +1.7]"
    assert accuracy.signed(0.0) == accuracy.signed(-0.0) == accuracy.signed(-1e-12) == "+0.0"
    assert accuracy.signed(0.05) == "+0.1" and error.signed(-0.0004) == "-0.0004"
    assert accuracy.number(0.876) == "87.6" and error.number(0.3871) == "0.387"
    assert accuracy.show(80.0, 1.25) == "80.0 ± 1.2" and error.show(0.4, math.nan) == "0.400"
    assert (
        accuracy.interval(1.0, -0.5, 2.5) == "+1.0 [-0.5, +2.5]"
        and error.interval(0.01, math.nan, math.nan) == "+0.010"
    )
    assert accuracy.margin_text(1) == "1 point of accuracy" and error.margin_text(0.01) == "0.01 of MAE"


def test_published_values_are_in_the_units_of_the_tasks() -> None:
    measures = [instantiate(task).measure for task in TASKS.values()]
    names = {f"{m.metric}_pct" if m.unit.scale == 100 else m.metric for m in measures}
    assert set(pd.read_csv(paths.PUBLISHED)["metric"]) <= names
