"""Answers to the two questions: from what they are estimated, and at which looks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rethinking.analysis.answers import answer_a, answer_b
from rethinking.analysis.inference.claims import p_values
from rethinking.analysis.inference.estimates import corrected, paired
from rethinking.analysis.questions import question
from rethinking.analysis.single_graphs import GraphScores, graph_differences
from rethinking.configuration.composition import compose_cell
from rethinking.runs.predictions import score_of
from rethinking.runs.store import RunStore
from tests.analysis.conftest import NCI1, NOISE, fill
from tests.analysis.test_comparisons import made
from tests.records import made_up

RNG = np.random.default_rng(4)
DIFFERENCES = 0.4 + RNG.normal(size=25)


def test_without_single_graphs_the_second_is_tested_as_it_is_estimated() -> None:
    """By the corrected variance at every look, not by that of the first."""
    asked = question(looks=[20])
    answer = answer_b(DIFFERENCES[:20], None, 1 / 8, 1.0, asked)
    assert answer is not None and answer.approximate
    assert answer.estimate == corrected(DIFFERENCES[:20], 1 / 8)
    assert answer.p == pytest.approx(p_values(corrected(DIFFERENCES[:20], 1 / 8), 1.0))
    assert answer_b(DIFFERENCES, None, 0.0, 1.0, asked) is None, (
        "where seeds do not split graphs anew it cannot be said"
    )


@pytest.mark.parametrize("seeds", [20, 25])
def test_what_is_estimated_is_of_all_seeds_what_is_tested_of_the_looks(seeds: int) -> None:
    asked = question(looks=[20])
    graphs = np.arange(30)
    first = GraphScores({seed: (graphs, RNG.normal(0.3, 1, size=30)) for seed in range(seeds)})
    second = GraphScores({seed: (graphs, RNG.normal(size=30)) for seed in range(seeds)})
    differences = graph_differences(first, second, range(seeds), 1.0)
    made = answer_b(DIFFERENCES[:seeds], differences, 1 / 8, 1.0, asked)
    assert made is not None and made.estimate.seeds == seeds
    at_look = answer_b(DIFFERENCES[:20], graph_differences(first, second, range(20), 1.0), 1 / 8, 1.0, asked)
    assert at_look is not None and made.p == pytest.approx(at_look.p)
    own = answer_a(DIFFERENCES[:seeds], 1.0, asked)
    assert own.estimate == paired(DIFFERENCES[:seeds])
    assert own.p == pytest.approx(p_values(paired(DIFFERENCES[:20]), 1.0))


def test_graphs_that_both_were_tested_on_are_paired_by_their_numbers() -> None:
    first = GraphScores({0: (np.array([1, 2, 5]), np.array([1.0, 2.0, 5.0])), 1: (np.array([2]), np.array([7.0]))})
    second = GraphScores({0: (np.array([2, 4, 5]), np.array([20.0, 40.0, 50.0])), 1: (np.array([2]), np.array([9.0]))})
    made = graph_differences(first, second, [0, 1], 1.0)
    assert made is not None
    assert made.difference.tolist() == [2 - 20, 5 - 50, 7 - 9]
    assert made.graph.tolist() == [0, 1, 0] and made.seed.tolist() == [0, 0, 1] and made.ends.tolist() == [2, 3]


def test_less_than_one_graph_in_all_seeds_is_chance(tmp_path: Path) -> None:
    """The first seed tests on 501 graphs, and that is what a step is taken for."""
    store = RunStore(tmp_path / "runs")
    fill(store, NCI1 + "learned", np.array([400 / 501, 0.8, *[0.8] * 18]))
    fill(store, NCI1 + "complement", np.array([400 / 501, 0.801, *[0.8] * 18]))
    (c,) = made(store, "nci1").values()
    assert c.answer_a.estimate.mean == pytest.approx(0.1 / 20)
    assert c.answer_a.estimate.error == pytest.approx(100 / 501 / 20)


def test_new_graphs_are_test_graphs(tmp_path: Path) -> None:
    """What was predicted of those for validation is no part of it."""
    store = RunStore(tmp_path / "runs")
    store.check_writable()
    for variant, mean in (("learned", 0.8), ("complement", 0.7)):
        cell = compose_cell((NCI1 + variant).split())
        for seed, score in enumerate(mean + 0.001 * np.arange(6)):
            record = made_up(cell, seed, float(score))
            other = record.predictions.copy()
            other.loc[other["part"] == "val", "prediction"] = 0
            scores = record.scores | {"val_accuracy": score_of(cell.task(), other, "val")}
            store.write_result(replace(record, predictions=other, scores=scores))
    (c,) = made(store, "nci1").values()
    assert c.answer_b is not None and c.answer_b.estimate.mean == pytest.approx(-10, abs=0.1)


def test_of_two_margins_the_stricter_one_holds(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    fill(store, NCI1 + "learned tasks.classification.margin=0.005", 0.8 + 0.01 * NOISE)
    fill(store, NCI1 + "complement", 0.8 + 0.01 * NOISE[::-1])
    (c,) = made(store, "nci1").values()
    assert c.margin == 0.5
