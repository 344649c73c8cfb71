"""Claims, looks, adjustment and verdicts: against scipy and statsmodels, on worked examples, and their laws."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from rethinking.analysis.answers import answer_a, decide_together, verdict_at
from rethinking.analysis.inference.adjusting import adjusted, least_level, level_left
from rethinking.analysis.inference.claims import Claim, p_values, p_values_of
from rethinking.analysis.inference.estimates import Estimate, paired
from rethinking.analysis.inference.looks import looks_so_far, sequential, weights
from rethinking.analysis.inference.needed import seeds_needed
from rethinking.analysis.inference.verdicts import DECIDED, Finding, Verdict, decide
from rethinking.analysis.questions import question

RNG = np.random.default_rng(1)
PLAN = (5, 10, 20, 40, 60)


def test_claims_are_the_paired_tests_of_scipy_and_statsmodels() -> None:
    for _ in range(5):
        a, b = RNG.normal(0.2, 1, 20), RNG.normal(0, 1, 20)
        p = p_values(paired(a - b), 0.7)
        assert p[Claim.DIFFERENT] == pytest.approx(stats.ttest_rel(a, b).pvalue)
        assert p[Claim.EQUIVALENT] == pytest.approx(ttost_paired(a, b, -0.7, 0.7)[0])
        assert p[Claim.NOT_WORSE] == pytest.approx(stats.ttest_rel(a + 0.7, b, alternative="greater").pvalue)
        beyond = [stats.ttest_rel(a - 0.7, b).statistic, stats.ttest_rel(a + 0.7, b).statistic]
        near, far = sorted([abs(t) for t in beyond])
        nearer = near if abs((a - b).mean()) > 0.7 else -near
        assert p[Claim.RELEVANT] == pytest.approx(stats.t.sf(nearer, 19) + stats.t.sf(far, 19))


def test_relevant_and_equivalent_exclude_each_other_and_an_unknown_spread_claims_nothing() -> None:
    means = np.linspace(-3, 3, 61)
    p = p_values_of(means, np.full(61, 0.4), np.full(61, 19.0), 1.0)
    assert (p[:, Claim.RELEVANT] + p[:, Claim.EQUIVALENT] >= 1 - 1e-12).all()
    # A margin of nothing asks for a difference.
    assert p_values_of(means, np.full(61, 0.4), np.full(61, 19.0), 1e-12)[:, Claim.RELEVANT] == pytest.approx(
        p[:, Claim.DIFFERENT]
    )
    assert np.isnan(p_values(Estimate(5, 0.0, math.nan), 1.0)).all()


def test_a_relevant_difference_is_found_wrongly_in_no_more_than_the_level() -> None:
    """At |δ| = margin, be the error small or large beside it."""
    for error in (0.05, 0.5, 5.0):
        differences = 1.0 + error * math.sqrt(20) * RNG.normal(size=(4000, 20))
        means, errors = differences.mean(axis=1), differences.std(axis=1, ddof=1) / math.sqrt(20)
        found = p_values_of(means, errors, np.full(4000, 19.0), 1.0)[:, Claim.RELEVANT] <= 0.05
        assert found.mean() <= 0.06


def test_what_a_look_may_spend_is_what_was_added() -> None:
    assert weights(PLAN) == pytest.approx([5 / 60, 5 / 60, 10 / 60, 20 / 60, 20 / 60])
    assert weights([20]) == pytest.approx([1])
    assert looks_so_far(4, PLAN) == [] and looks_so_far(25, PLAN) == [5, 10, 20] == looks_so_far(20, PLAN)


def test_the_smallest_p_over_the_looks_by_its_weight() -> None:
    p = np.array([[0.01, np.nan], [0.002, 0.5], [0.9, 0.02]])
    smallest, look = sequential(p, PLAN)
    assert smallest == pytest.approx([0.024, 0.12]) and list(look) == [1, 2]
    assert sequential(p[:1], PLAN)[0] == pytest.approx([0.12, 1.0])
    # No look takes back what an earlier one has found.
    assert (smallest <= sequential(p[:2], PLAN)[0]).all()


def test_a_verdict_names_the_side_that_was_better_when_it_was_found() -> None:
    """With seeds after the deciding look, or after the last, the mean may have changed sides."""
    early = np.array([-3, -3.2, -2.9, -3.1, -3.05, 4, -2, 9, 5, 3])
    late = np.concatenate([np.tile([-0.8, -1.0], 30), np.full(40, 2.5)])
    for differences, margin in ((early, 1.0), (-early, 1.0), (late, 0.3), (-late, 0.3)):
        answer = answer_a(differences, margin, question())
        (decided,) = decide_together([answer], [margin], question())
        assert decided.verdict.finding in (Finding.RELEVANT, Finding.DIFFERENT)
        assert decided.estimate.mean * differences[0] < 0 and decided.verdict.other == (differences[0] > 0)
        assert verdict_at(decided, 0.05) == decided.verdict


def test_adding_seeds_until_something_is_found_finds_nothing_more() -> None:
    """Without a difference and at the margin, looking after 5, 10, 20, 40 and 60 seeds; without weights too much."""
    trials, wrong, naive = 3000, np.zeros(2), np.zeros(2)
    noise = RNG.normal(size=(trials, 60))
    for place, (shift, claim) in enumerate(((0.0, Claim.DIFFERENT), (1.0, Claim.EQUIVALENT))):
        x = shift + noise * 1.5
        p = np.stack(
            [
                p_values_of(
                    x[:, :n].mean(axis=1), x[:, :n].std(axis=1, ddof=1) / math.sqrt(n), np.full(trials, n - 1.0), 1.0
                )[:, claim]
                for n in PLAN
            ]
        )
        wrong[place], naive[place] = (sequential(p, PLAN)[0] <= 0.05).mean(), (p.min(axis=0) <= 0.05).mean()
    assert (wrong <= 0.06).all() and (naive >= 0.09).all()


@pytest.mark.parametrize("digits", [1, 2, 16])
def test_adjusted_for_each_claim_or_over_all(digits: int) -> None:
    """With few digits there are ties; some p-values are missing."""
    for comparisons in (1, 2, 7, 40):
        p = (RNG.random((comparisons, 4)) ** 3).round(digits)
        p[RNG.random(p.shape) < 0.2] = np.nan
        known = ~np.isnan(p)
        for claim in range(4):
            own, expected = known[:, claim], np.full(comparisons, np.nan)
            if own.any():
                expected[own] = multipletests(p[own, claim], method="fdr_bh")[1]
            assert adjusted(p, "bh")[:, claim] == pytest.approx(expected, nan_ok=True)
        if known.any():
            assert adjusted(p, "holm")[known] == pytest.approx(multipletests(p[known], method="holm")[1])
        assert np.array_equal(np.isnan(adjusted(p, "holm")), ~known)
    worked = np.array([[0.01], [0.04], [np.nan], [0.03], [0.005]])
    assert adjusted(worked, "holm")[:, 0] == pytest.approx([0.03, 0.06, np.nan, 0.06, 0.02], nan_ok=True)
    assert adjusted(worked, "bh")[:, 0] == pytest.approx([0.02, 0.04, np.nan, 0.04, 0.02], nan_ok=True)


@pytest.mark.parametrize("how", ["bh", "holm"])
def test_the_level_that_is_left_is_the_one_at_which_one_more_is_decided(how: str) -> None:
    p = np.array([[0.001], [0.004], [0.3], [0.6], [0.9]])
    (left,) = level_left(adjusted(p, how), 0.05, how)  # type: ignore[arg-type]
    for factor, found in ((0.99, True), (1.01, False)):
        changed = p.copy()
        changed[2] = factor * left
        assert (adjusted(changed, how)[2, 0] <= 0.05) == found  # type: ignore[arg-type]


def test_seeds_needed_give_the_power() -> None:
    """Simulated: with these many seeds the claim is decided about as often, with clearly fewer less often."""
    levels = np.full(4, 0.05)
    now = Estimate(20, 0.0, 2.0 / math.sqrt(20))
    needed = seeds_needed(now, 1.0, levels, 0.8, [10_000])
    assert needed == 10_000, "the only look"
    needed = seeds_needed(now, 1.0, levels, 0.8, [2])
    assert needed is not None and 20 < needed < 60
    for n, bounds in ((needed, (0.7, 1.0)), (needed // 2, (0.0, 0.7))):
        x = 2.0 * RNG.normal(size=(2000, n))
        p = p_values_of(x.mean(axis=1), x.std(axis=1, ddof=1) / math.sqrt(n), np.full(2000, n - 1.0), 1.0)
        assert bounds[0] <= (p[:, Claim.NOT_WORSE] <= 0.05).mean() <= bounds[1]


def test_seeds_of_a_longer_plan_give_the_power_at_its_last_look() -> None:
    """Which shares the level with those before."""
    plan, level, sd = (20, 40), 0.05, 2.0
    needed = seeds_needed(Estimate(40, 0.7, sd / math.sqrt(40)), 0.1, np.full(4, level), 0.8, plan)
    assert needed is not None and plan[-1] < needed < 60
    share = weights((*plan, needed))[-1]
    assert 0.2 < share < 0.5
    x = 0.7 + sd * RNG.normal(size=(20_000, needed))
    p = p_values_of(x.mean(axis=1), x.std(axis=1, ddof=1) / math.sqrt(needed), np.full(len(x), needed - 1.0), 0.1)
    # Of the claims the one that asks for least is decided first: that the second is not worse.
    assert (p[:, Claim.NOT_WORSE] <= share * level).mean() == pytest.approx(0.8, abs=0.015)


def test_seeds_are_counted_at_the_level_that_a_family_leaves() -> None:
    """As things stand after adjusting: a p-value below the level that does not hold in its family leaves no more."""
    asked = question(looks=[20])
    noise = RNG.normal(size=20)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    # One of twenty has p = 0.02 for a difference, which is not found among so many.
    size = float(stats.t.isf(0.01, 19)) / math.sqrt(20)
    margin = 0.05 * size
    answers = [answer_a(noise + mean, margin, asked) for mean in [size] + [0.5 * size] * 19]
    assert answers[0].p[Claim.DIFFERENT] == pytest.approx(0.02)
    decided = decide_together(answers, [margin] * 20, asked)
    assert not any(answer.verdict.decided for answer in decided)
    left = level_left(np.array([answer.adjusted for answer in decided]), asked.level, asked.adjust)
    assert left[Claim.DIFFERENT] == pytest.approx(asked.level / 20)
    for answer in decided:
        assert answer.needed == seeds_needed(answer.estimate, margin, left, asked.power, asked.looks)


def test_fewer_seeds_are_needed_for_clearer_answers_and_none_suffice_for_too_few_graphs() -> None:
    levels = np.full(4, 0.05)
    needed = [seeds_needed(Estimate(5, mean, 0.8), 1.0, levels, 0.8, PLAN) for mean in (0.0, -0.9, -3.0)]
    assert needed[0] is not None and needed[1] is not None and needed[2] is not None
    assert needed[2] < needed[0] < needed[1] and needed[2] in PLAN
    stricter = seeds_needed(Estimate(5, 0.0, 0.8), 1.0, levels / 26, 0.8, PLAN)
    assert stricter is not None and stricter > needed[0]
    assert seeds_needed(Estimate(20, 0.0, 1.2, limit=1.1), 1.0, levels, 0.8, PLAN) is None
    # Whatever was trained beyond the last look: a longer plan would need as many as it would have needed before.
    spread = 9.0
    long, longer = (seeds_needed(Estimate(n, -1.5, spread / n**0.5), 1.0, levels, 0.8, PLAN) for n in (60, 4000))
    assert long is not None and long == longer and PLAN[-1] < long < 4000


@pytest.mark.parametrize("how", ["bh", "holm"])
def test_at_the_least_level_a_claim_is_found_whatever_the_others_come_to(how: str) -> None:
    for comparisons in (1, 3, 20):
        least = least_level(0.05, comparisons, how)  # type: ignore[arg-type]
        others = np.ones((comparisons, 4))
        for factor, found in ((0.99, True), (1.01, False)):
            others[0, 2] = factor * least
            assert (adjusted(others, how)[0, 2] <= 0.05) == found, "with others that are as far from it as can be"  # type: ignore[arg-type]
        for _ in range(20):
            p = RNG.random((comparisons, 4)) ** 4
            p[0, 2] = 0.99 * least
            assert adjusted(p, how)[0, 2] <= 0.05  # type: ignore[arg-type]


SIDES = ("local", "non-local")


def test_verdicts_in_words() -> None:
    """The strongest claim; a difference that is there, but within the margin, does not matter."""
    cases = {
        (0.001, 0.01, 0.01, 0.9): ("does not matter (within 1 point)",) * 2,
        (0.001, 0.9, 0.01, 0.01): ("non-local better by more than 1 point", "local better by more than 1 point"),
        (0.001, 0.9, 0.01, 0.9): ("non-local better", "local better"),
        (0.2, 0.9, 0.01, 0.9): ("local not needed (helps by less than 1 point)",) * 2,
        (0.2, 0.2, 0.2, 0.9): ("undecided: would take over 10000 seeds",) * 2,
        (math.nan,) * 4: ("undecided: would take over 10000 seeds",) * 2,
    }
    for p, words in cases.items():
        for mean, expected in zip((0.1, -0.1), words, strict=True):
            verdict = decide(np.full(4, mean > 0), np.array(p), 0.05)
            assert verdict.words(SIDES, "1 point") == expected
            assert verdict.decided == (verdict.finding in DECIDED) and verdict.judged
    assert Verdict(Finding.UNDECIDED, more=20).words(SIDES, "1 point") == "undecided: about 20 more seeds"
    assert Verdict(Finding.UNDECIDED, longer=80).words(SIDES, "1 point") == "undecided: would take about 80 seeds"
    assert Verdict(Finding.FEW_GRAPHS).words(SIDES, "1 point") == "undecided: too few graphs"
    assert not Verdict(Finding.FEW_SEEDS).judged and not Verdict(Finding.NO_VARIANCE).decided
