"""The table that a sweep ends in: each variant is held against the learned one that it differs from in nothing else."""

import numpy as np
import pandas as pd
import pytest

from rethinking.analysis.scores import Scores
from rethinking.analysis.summary import _against_local
from rethinking.configuration.composition import compose_job
from rethinking.configuration.settings import Settings
from rethinking.tasks.task import Unit

POINTS = Unit("accuracy", 100, 1)
GMN = "model=gmn dataset=nci1 pooling="


def against_local(scores: dict[str, list[float]]) -> dict[str, str]:
    """What the last column has for cells of these words, with these scores, each called by its place."""
    jobs = {words: compose_job(words.split()) for words in scores}
    made: list[Settings] = list(jobs.values())
    letters = {id(job): "abcdef"[place] for place, job in enumerate(made)}
    units = {id(jobs[words]): (POINTS, Scores(pd.Series(np.array(values)))) for words, values in scores.items()}
    return {words: _against_local(job, letters, made, units) for words, job in jobs.items()}


@pytest.mark.parametrize("turned", [False, True])
def test_a_key_of_the_select_alone_tells_learned_cells_apart(turned: bool) -> None:
    scores = {
        GMN + "learned model.heads=1": [70.0, 71.0],
        GMN + "learned model.heads=5": [80.0, 81.0],
        GMN + "distance model.heads=1": [73.0, 74.0],
        GMN + "distance model.heads=5": [78.0, 79.0],
    }
    found = against_local(dict(reversed(scores.items())) if turned else scores)
    assert found[GMN + "distance model.heads=1"].startswith("+3.0")
    assert found[GMN + "distance model.heads=5"].startswith("-2.0")
    assert found[GMN + "learned model.heads=5"] == ""


def test_one_without_that_key_is_held_against_each() -> None:
    scores = {
        GMN + "learned model.heads=1": [70.0, 71.0],
        GMN + "learned model.heads=5": [80.0, 81.0],
        GMN + "uniform": [75.0, 76.0],
    }
    first, second = against_local(scores)[GMN + "uniform"].split("\n")
    assert first.startswith("+5.0") and first.endswith("(a)")
    assert second.startswith("-5.0") and second.endswith("(b)")


def test_another_fidelity_is_another_cell() -> None:
    scores = {
        GMN + "learned fidelity=released_code": [70.0, 71.0],
        GMN + "learned": [80.0, 81.0],
        GMN + "uniform": [75.0, 76.0],
    }
    assert against_local(scores)[GMN + "uniform"].startswith("-5.0")
