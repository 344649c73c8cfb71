"""`make calibration`: do verdicts hold what they promise? Error rates on made-up data sets with a known difference.

What is counted comes from the very functions that `rethinking compare` uses (`analysis/answers.py`). The rates, what
they have to be, how many simulations they are of and the versions are kept in results/benchmarks/calibration.csv.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy
import statsmodels

from rethinking.analysis.answers import Answer, answer_a, answer_b, decide_together, verdict_at
from rethinking.analysis.inference.estimates import corrected
from rethinking.analysis.inference.verdicts import Finding, Verdict
from rethinking.analysis.questions import Question, question
from rethinking.progress import track
from scripts.machine import BENCHMARKS, conditions
from scripts.population import Kind, by_seed, compare_on, populate, splits

TABLE = BENCHMARKS / "calibration.csv"
MARGIN = 1.0  # point
CELLS, PLANNED = 22, 26  # comparisons of a store, and of a family that is planned
# By the project's own runs: accuracy, how often variants disagree, how much accuracy and agreement vary by graph, the
# deviation of differences by seed (1.9 points, 2.9, 2.1, 0.4), and the error that seeds do not lessen (0.20 points,
# 0.32, twice NCI1's, 0.1).
KINDS = {
    "NCI1-like": Kind(4110, 411, 0.785, graph=1.71, variant=0.64, shared=0.49, seed=0.018, training=0.018),
    "IMDB-like": Kind(1000, 100, 0.705, graph=3.51, variant=0.64, shared=0.70, seed=0.056, training=0.056),
    "variant-by-graph": Kind(4110, 411, 0.785, graph=1.48, variant=1.38, shared=0.93, seed=0.022, training=0.022),
    "SMNIST-like": Kind(10_000, 10_000, 0.88, graph=1.69, variant=0.62, shared=0.38, seed=0.017, training=0.0),
}
NCI1, IMDB, SMNIST = KINDS["NCI1-like"], KINDS["IMDB-like"], KINDS["SMNIST-like"]
# True differences of the 22: as they are found, and half of them where errors are made most easily.
MIXTURES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "as found": lambda rng: rng.normal(0, 0.46, CELLS),
    "at the edges": lambda rng: rng.permutation([0.0] * 11 + [1.0, -1.0] * 3 + [2.0, -2.0, 0.5, -0.5, 3.0]),
}


@dataclass(frozen=True)
class Rate:
    """What was counted in one simulation: values by what they are of. lowest, highest: what the mean has to be in."""

    what: str
    population: str
    seeds: str
    value: float
    lowest: float = -np.inf
    highest: float = np.inf


def main() -> None:
    """Simulate, keep and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1000, help="of each row; default: 1000")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--to", type=Path, default=TABLE, help=f"default: {TABLE}")
    given = parser.parse_args()
    table = rates(given.simulations, given.seed)
    given.to.parent.mkdir(parents=True, exist_ok=True)
    about = {
        **conditions(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "statsmodels": statsmodels.__version__,
    }
    table.assign(**about).drop(columns=["torch", "load"], errors="ignore").to_csv(given.to, index=False)
    print(table.drop(columns=["random seed"]).to_string(index=False))


def rates(simulations: int, seed: int) -> pd.DataFrame:
    """A row for each rate: what, population, seeds, its mean, what it has to be in, and whether it is."""
    rows: list[Rate] = []
    for number, experiment in enumerate(EXPERIMENTS):
        for i in track(range(simulations), f"{experiment.__name__} {number + 1}/{len(EXPERIMENTS)}"):
            rows += experiment(np.random.default_rng([seed, number, i]))
    frame = pd.DataFrame([vars(row) for row in rows])
    keys = ["what", "population", "seeds", "lowest", "highest"]
    table = frame.groupby(keys, sort=False)["value"].agg(["mean", "count"]).reset_index()
    table = table.rename(columns={"mean": "value", "count": "simulations"})
    within = (table["lowest"] <= table["value"]) & (table["value"] <= table["highest"])
    bounded = np.isfinite(table["lowest"]) | np.isfinite(table["highest"])
    table["met"] = np.where(bounded, np.where(within, "yes", "NO"), "")
    table = table.replace({"lowest": {-np.inf: np.nan}, "highest": {np.inf: np.nan}}).assign(**{"random seed": seed})
    return table.astype({"value": float}).round({"value": 4})


def coverage(rng: np.random.Generator) -> Iterable[Rate]:
    """How often the intervals hold the truth, and how wide they are; no difference on new graphs."""
    for name in ("NCI1-like", "IMDB-like", "variant-by-graph"):
        population = populate(KINDS[name], 0.0, rng)
        graphs = compare_on(population, splits(population.kind, 100, rng), rng)
        for seeds in (20, 100):
            asked = once(seeds)
            scores = by_seed(graphs)[:seeds]
            a, b = _both(graphs, seeds, asked)
            on_these, on_new, older = (e.interval(0.95) for e in (a.estimate, b.estimate, corrected(scores, 1 / 8)))
            at = name, str(seeds)
            yield Rate("coverage of A", *at, _in(population.here, on_these), 0.935, 0.985)
            yield Rate("coverage of B", *at, _in(0.0, on_new), 0.93, 0.99)
            yield Rate("coverage of new graphs by the plain t", *at, _in(0.0, on_these))
            yield Rate("coverage of new graphs by Nadeau-Bengio", *at, _in(0.0, older))
            yield Rate("half-width of A", *at, on_these[1] - a.estimate.mean)
            yield Rate("half-width of B", *at, on_new[1] - b.estimate.mean)
            yield Rate("half-width of Nadeau-Bengio", *at, older[1] - a.estimate.mean)
            yield Rate("error of B that seeds do not lessen", *at, b.estimate.limit)
            better = b.verdict.finding in (Finding.DIFFERENT, Finding.RELEVANT)
            yield Rate("B: false `better` without a difference", *at, better, highest=0.06)
            if name == "NCI1-like":
                lowest = 0.9 if seeds == 100 else -np.inf
                yield Rate("B: `does not matter` without a difference", *at, _is(b.verdict), lowest=lowest)


def no_difference(rng: np.random.Generator) -> Iterable[Rate]:
    """Nothing on this data set: what is found all the same, after a fixed number of seeds and until something is."""
    for name in ("NCI1-like", "IMDB-like", "variant-by-graph"):
        population = populate(KINDS[name], 0.0, rng, here=0.0)
        scores = by_seed(compare_on(population, splits(population.kind, 100, rng), rng))
        for seeds in (20, 100):
            verdict = _alone(answer_a(scores[:seeds], MARGIN, once(seeds)), once(seeds))
            better = verdict.finding in (Finding.DIFFERENT, Finding.RELEVANT)
            yield Rate("A: false `better` without a difference", name, str(seeds), better, highest=0.06)
            if name == "NCI1-like":
                lowest = 0.4 if seeds == 20 else 0.95
                yield Rate("A: `does not matter` without a difference", name, str(seeds), _is(verdict), lowest=lowest)
        seeds, verdict = until_decided(scores, ASKED.level)
        better = verdict.finding in (Finding.DIFFERENT, Finding.RELEVANT)
        yield Rate("A: false `better` without a difference", name, "until decided", better, highest=0.06)
        if name == "NCI1-like":
            yield Rate("A: `does not matter` without a difference", name, "until decided", _is(verdict))
            yield Rate("A: decided without a difference", name, "until decided", verdict.decided)
            yield Rate("A: seeds until decided", name, "until decided", seeds)
            twenty = _alone(answer_a(scores[:20], MARGIN, ASKED), ASKED)
            yield Rate("A: `does not matter` without a difference", name, "20, third look of five", _is(twenty))


def at_the_margin(rng: np.random.Generator) -> Iterable[Rate]:
    """The non-local variant is worse by exactly the margin, on this data set (A) or on new graphs (B)."""
    for name in ("NCI1-like", "IMDB-like", "variant-by-graph"):
        held_out = splits(KINDS[name], 60, rng)
        here = compare_on(populate(KINDS[name], -MARGIN, rng, here=-MARGIN), held_out, rng)
        beyond = compare_on(populate(KINDS[name], -MARGIN, rng), held_out, rng)
        scores = by_seed(here)
        found = {
            ("A", "20"): _alone(answer_a(scores[:20], MARGIN, once(20)), once(20)),
            ("A", "60"): _alone(answer_a(scores, MARGIN, once(60)), once(60)),
            ("A", "until decided"): until_decided(scores, ASKED.level)[1],
            ("B", "20"): _both(beyond, 20, once(20))[1].verdict,
            ("B", "60"): _both(beyond, 60, once(60))[1].verdict,
            ("B", "60, all five looks"): _both(beyond, 60, ASKED)[1].verdict,
        }
        for (of, seeds), verdict in found.items():
            wrong = verdict.finding in (Finding.EQUIVALENT, Finding.NOT_WORSE)
            yield Rate(f"{of}: false `does not matter` at the margin", name, seeds, _is(verdict), highest=0.06)
            yield Rate(f"{of}: false `does not matter` or `not needed` at the margin", name, seeds, wrong, highest=0.06)
            beyond_it = verdict.finding is Finding.RELEVANT
            yield Rate(f"{of}: false `better by more` at the margin", name, seeds, beyond_it, highest=0.06)


def large_difference(rng: np.random.Generator) -> Iterable[Rate]:
    """The local variant is better by three points: whether it is found, and after how many seeds."""
    for name in ("NCI1-like", "IMDB-like"):
        population = populate(KINDS[name], -3.0, rng, here=-3.0)
        scores = by_seed(compare_on(population, splits(population.kind, 60, rng), rng))
        stopped, last = until_decided(scores, ASKED.level)
        for seeds, verdict in (
            ("20", _alone(answer_a(scores[:20], MARGIN, once(20)), once(20))),
            ("20, third look of five", _alone(answer_a(scores[:20], MARGIN, ASKED), ASKED)),
            ("until decided", last),
        ):
            better = not verdict.other and verdict.finding in (Finding.DIFFERENT, Finding.RELEVANT)
            lowest = 0.99 if (name, seeds) == ("NCI1-like", "20") else -np.inf
            yield Rate("A: a difference of three points found", name, seeds, better, lowest=lowest)
        yield Rate("A: seeds until a difference of three points is found", name, "until decided", stopped)


def many_cells(rng: np.random.Generator) -> Iterable[Rate]:
    """22 comparisons, half of each kind, those of a kind on the same splits: how many of the decided are wrong."""
    for mixture, draw in MIXTURES.items():
        truths = draw(rng)
        held_out = {kind: splits(kind, 60, rng) for kind in (NCI1, IMDB)}
        kinds = [NCI1 if cell % 2 else IMDB for cell in range(CELLS)]
        scores = [
            by_seed(compare_on(populate(kind, truth, rng, here=truth), held_out[kind], rng))
            for kind, truth in zip(kinds, truths, strict=True)
        ]
        plans = {"20": (20, once(20)), "20, third look of five": (20, ASKED), "60, all five looks": (60, ASKED)}
        found = {
            name: [a.verdict for a in decide_together(_answers(scores, n, asked), [MARGIN] * CELLS, asked)]
            for name, (n, asked) in plans.items()
        }
        found["until decided"] = [until_decided(own, ASKED.level / CELLS)[1] for own in scores]
        for seeds, verdicts in found.items():
            decided = [(v, truth) for v, truth in zip(verdicts, truths, strict=True) if v.decided]
            wrong = sum(_wrong(verdict, truth) for verdict, truth in decided)
            yield Rate("A: wrong among decided, of 22", mixture, seeds, wrong / max(1, len(decided)), highest=0.05)
            yield Rate("A: decided, of 22", mixture, seeds, len(decided))


def large_test_set(rng: np.random.Generator) -> Iterable[Rate]:
    """A fixed split with 10,000 test graphs and no difference: how many seeds it takes."""
    population = populate(SMNIST, 0.0, rng, here=0.0)
    scores = np.concatenate([by_seed(compare_on(population, splits(SMNIST, n, rng), rng)) for n in (5, 5, 10)])
    for family, level, most in (("alone", ASKED.level, 7.0), ("in a family of 26", ASKED.level / PLANNED, 11.0)):
        seeds, verdict = until_decided(scores, level)
        if not verdict.decided:
            more = by_seed(compare_on(population, splits(SMNIST, 40, rng), rng))
            seeds, verdict = until_decided(np.concatenate([scores, more]), level)
        yield Rate("A: seeds until decided", f"SMNIST-like, {family}", "until decided", seeds, highest=most)
        at = f"SMNIST-like, {family}", "until decided"
        yield Rate("A: decided without a difference", *at, verdict.decided, lowest=0.99)
        yield Rate("A: `does not matter` without a difference", *at, _is(verdict))
    yield Rate("deviation of the difference, points", "SMNIST-like", "20", float(np.std(scores, ddof=1)))


def nothing_to_go_by(rng: np.random.Generator) -> Iterable[Rate]:
    """Identical scores, and two to four seeds, however clear."""
    population = populate(IMDB, 10.0, rng)
    graphs = compare_on(population, splits(IMDB, 20, rng), rng)
    for seeds in (2, 3, 4):
        decided = any(answer.verdict.decided for answer in _both(graphs, seeds, ASKED))
        yield Rate("a verdict where there must be none", "IMDB-like", str(seeds), decided, highest=0.0)
    same = _both(replace(graphs, difference=np.zeros_like(graphs.difference)), 20, ASKED)
    decided = any(answer.verdict.decided for answer in same)
    yield Rate("a verdict where there must be none", "identical scores", "20", decided, highest=0.0)


EXPERIMENTS = (
    coverage, no_difference, at_the_margin, large_difference, many_cells, large_test_set, nothing_to_go_by,
)  # fmt: skip
ASKED = question()


def once(seeds: int) -> Question:
    """What is asked by somebody who plans these seeds and looks once."""
    return replace(ASKED, looks=(seeds,))


def until_decided(scores: np.ndarray, level: float) -> tuple[int, Verdict]:
    """How many seeds are trained, and the verdict, if one looks as planned and stops when something is decided."""
    verdict = Verdict(Finding.UNDECIDED)
    looks = [look for look in ASKED.looks if look <= len(scores)]
    for look in looks:
        verdict = verdict_at(answer_a(scores[:look], MARGIN, ASKED), level)
        if verdict.decided:
            return look, verdict
    return looks[-1], verdict


def _both(graphs: Any, seeds: int, asked: Question) -> tuple[Answer, Answer]:
    """Answers A and B of one comparison that is alone, from its first seeds."""
    end = int(graphs.ends[seeds - 1])
    first = replace(
        graphs,
        difference=graphs.difference[:end],
        graph=graphs.graph[:end],
        seed=graphs.seed[:end],
        ends=graphs.ends[:seeds],
    )
    scores = by_seed(first)
    a, b = answer_a(scores, MARGIN, asked), answer_b(scores, first, 1 / 8, MARGIN, asked)
    assert b is not None
    return decide_together([a], [MARGIN], asked)[0], decide_together([b], [MARGIN], asked)[0]


def _alone(answer: Answer, asked: Question) -> Verdict:
    return decide_together([answer], [MARGIN], asked)[0].verdict


def _answers(scores: list[np.ndarray], seeds: int, asked: Question) -> list[Answer]:
    return [answer_a(own[:seeds], MARGIN, asked) for own in scores]


def _is(verdict: Verdict) -> bool:
    return verdict.finding is Finding.EQUIVALENT


def _in(truth: float, interval: tuple[float, float]) -> bool:
    return interval[0] <= truth <= interval[1]


def _wrong(verdict: Verdict, truth: float) -> bool:
    """Whether a verdict says what is not so; truth: the non-local variant is better by it."""
    side = truth > 0 if verdict.other else truth < 0
    holds = {
        Finding.EQUIVALENT: abs(truth) < MARGIN,
        Finding.RELEVANT: side and abs(truth) > MARGIN,
        Finding.DIFFERENT: side,
        Finding.NOT_WORSE: truth > -MARGIN,
    }
    return not holds[verdict.finding]


if __name__ == "__main__":
    main()
