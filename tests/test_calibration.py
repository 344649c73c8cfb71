"""Whether verdicts hold what they promise, on populations whose true difference is known; and whether it is known."""

import math

import numpy as np
import pytest

from rethinking.analysis.answers import answer_a, answer_b, decide_together
from scripts import calibration
from scripts.population import Kind, by_seed, compare_on, populate, splits

SMALL = Kind(300, 30, 0.75, graph=1.5, variant=0.8, shared=0.3, seed=0.05, training=0.05)


def test_the_true_difference_is_what_many_seeds_give() -> None:
    """On these graphs; and over many data sets on average on all graphs of the kind."""
    rng = np.random.default_rng(0)
    for target in (-2.0, 0.0, 3.0):
        population = populate(SMALL, target, rng, here=target)
        assert population.here == pytest.approx(target, abs=1e-6)
        scores = by_seed(compare_on(population, splits(SMALL, 3000, rng), rng))
        assert scores.mean() == pytest.approx(target, abs=4 * scores.std() / math.sqrt(3000))
        elsewhere = np.array([populate(SMALL, target, rng).here for _ in range(300)])
        assert elsewhere.mean() == pytest.approx(target, abs=4 * elsewhere.std() / math.sqrt(300))


def test_seeds_split_the_graphs_anew_and_training_sets_count() -> None:
    rng = np.random.default_rng(1)
    held_out = splits(SMALL, 50, rng)
    assert all(len(set(row)) == 60 for row in held_out) and len({frozenset(row) for row in held_out}) == 50
    pull = populate(SMALL, 0.0, rng).pull
    effect = pull[0][splits(SMALL, 2000, rng)].sum(axis=1)
    assert effect.std() == pytest.approx(SMALL.training, rel=0.2) and effect.mean() == pytest.approx(0, abs=0.01)
    fixed = Kind(30, 30, 0.75, graph=1.5, variant=0.8, shared=0.3, seed=0.05, training=0.0)
    assert (splits(fixed, 5, rng) == np.arange(30)).all()


def test_intervals_hold_the_truth() -> None:
    """A that of these graphs, B that of all; where variants differ by graph A does not hold the latter."""
    asked, held = calibration.once(40), np.zeros(3)
    for i in range(400):
        rng = np.random.default_rng([2, i])
        population = populate(SMALL, 1.0, rng)
        graphs = compare_on(population, splits(SMALL, 40, rng), rng)
        a, b = answer_a(by_seed(graphs), 1.0, asked), answer_b(by_seed(graphs), graphs, 1 / 8, 1.0, asked)
        assert b is not None
        for place, (answer, truth) in enumerate(((a, population.here), (b, 1.0), (a, 1.0))):
            low, high = answer.estimate.interval(0.95)
            held[place] += low <= truth <= high
    of_a, of_b, of_b_by_a = held / 400
    assert 0.92 <= of_a <= 0.98 and 0.92 <= of_b <= 0.995 and of_b_by_a < 0.9


def test_of_22_that_are_decided_few_are_wrong() -> None:
    asked, wrong = calibration.once(20), []
    for i in range(150):
        rng = np.random.default_rng([3, i])
        truths = calibration.MIXTURES["at the edges"](rng)
        answers = [answer_a(truth + 1.5 * rng.standard_normal(20), 1.0, asked) for truth in truths]
        verdicts = [answer.verdict for answer in decide_together(answers, [1.0] * 22, asked)]
        decided = [(v, truth) for v, truth in zip(verdicts, truths, strict=True) if v.decided]
        wrong.append(sum(calibration._wrong(v, truth) for v, truth in decided) / max(1, len(decided)))
    assert 0 < np.mean(wrong) <= 0.05


def test_without_variance_or_seeds_there_is_no_verdict() -> None:
    assert not any(rate.value for rate in calibration.nothing_to_go_by(np.random.default_rng(4)))


def test_one_stops_when_something_is_decided_and_not_before() -> None:
    rng = np.random.default_rng(5)
    clear, noisy = -5 + 0.1 * rng.standard_normal(60), 20 * rng.standard_normal(60)
    seeds, verdict = calibration.until_decided(clear, 0.05)
    assert seeds == 5 and verdict.decided and not verdict.other
    assert calibration.until_decided(noisy, 0.05)[0] == 60


@pytest.mark.slow
def test_rates_are_within_their_bounds() -> None:
    """A fifth of the simulations of `make calibration`, each bound widened by three standard errors."""
    table = calibration.rates(200, seed=1)
    for row in table[table["met"] == "NO"].itertuples():
        nearest = row.lowest if row.value < row.lowest else row.highest
        error = math.sqrt(max(nearest * (1 - nearest), 1e-4) / 200) if nearest < 1 else 1.0
        assert abs(row.value - nearest) <= 3 * error, row
