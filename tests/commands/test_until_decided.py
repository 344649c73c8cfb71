"""Pairs of cells train from look to look until each is decided, and no longer."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rethinking.analysis.answers import Answer
from rethinking.analysis.inference.estimates import paired
from rethinking.analysis.inference.verdicts import Finding, Verdict
from rethinking.analysis.questions import question
from rethinking.commands import until_decided
from rethinking.commands.until_decided import Job, plan, train_until_decided
from rethinking.configuration.composition import compose_job
from rethinking.errors import UserError
from rethinking.runs.store import RunStore
from tests.conftest import FEW_DIGITS

Call = Callable[..., CompletedProcess[str]]
FEW = f"splits={FEW_DIGITS}"
SMALL = ("dataset=digits", "trainer.max_epochs=1", "trainer.batch_size=256", "diagnosed_graphs=0")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without results: what is collected where one stands counts too."""
    monkeypatch.chdir(tmp_path)


def job(family: str, variant: str, dataset: str = "nci1") -> Job:
    words = [f"model={family}", f"pooling={variant}", f"dataset={dataset}"]
    return Job(words, compose_job(words), f"{family}-{variant}-{dataset}")


def test_a_pair_is_a_local_reference_and_a_non_local_cell_that_differs_in_the_select_only() -> None:
    jobs = [job("graclus", "learned"), job("graclus", "complement"), job("diffpool", "learned"),
            job("diffpool", "uniform"), job("diffpool", "normal"), job("graclus", "complement", "imdb_b"),
            job("global_mean", "none")]  # fmt: skip
    pairs = {(pair.local.id, pair.other.id) for pair in plan(jobs, question())}
    assert pairs == {
        ("graclus-learned-nci1", "graclus-complement-nci1"),
        ("diffpool-learned-nci1", "diffpool-uniform-nci1"),
        ("diffpool-learned-nci1", "diffpool-normal-nci1"),
    }


def test_arguments_that_both_selects_have_agree() -> None:
    """The number of heads is one; a variant without heads is compared with each."""
    jobs = []
    for variant, heads in (("learned", 1), ("learned", 5), ("distance", 1), ("distance", 5), ("uniform", 5)):
        words = ["model=gmn", f"pooling={variant}", "dataset=nci1", f"model.heads={heads}"]
        jobs.append(Job(words, compose_job(words), f"{variant} {heads}"))
    assert {pair.ids for pair in plan(jobs, question())} == {
        ("learned 1", "distance 1"),
        ("learned 5", "distance 5"),
        ("learned 1", "uniform 5"),
        ("learned 5", "uniform 5"),
    }


def in_host(pooler: str, variant: str) -> Job:
    words = ["model=host", f"pooler={pooler}", f"pooling={variant}", "dataset=nci1"]
    return Job(words, compose_job(words), f"{pooler}-{variant}")


def test_in_the_host_a_pair_is_an_operator_and_a_twin_of_its_own() -> None:
    """Whether it is local or not, and with what stands for all operators."""
    jobs = [
        in_host("pyg/TopKPooling", "learned"),
        in_host("pyg/TopKPooling", "shuffled"),
        in_host("pyg/EdgePooling", "learned"),
        in_host("pyg/EdgePooling", "random"),
        in_host("none", "none"),
    ]
    assert {pair.ids for pair in plan(jobs, question())} == {
        ("pyg/TopKPooling-learned", "pyg/TopKPooling-shuffled"),
        ("pyg/TopKPooling-learned", "none-none"),
        ("pyg/EdgePooling-learned", "pyg/EdgePooling-random"),
        ("pyg/EdgePooling-learned", "none-none"),
    }


def found(local: str, other: str, seeds: int, p: float) -> SimpleNamespace:
    """As far as a decision looks at it."""
    nothing = np.full(4, np.nan)
    claims, better = np.array([1.0, p, 1.0, 1.0]), np.ones(4, dtype=bool)
    answer = Answer(paired(np.arange(seeds) / 10), claims, better, nothing, Verdict(Finding.UNDECIDED))
    return SimpleNamespace(local=local, other=other, seeds=np.arange(seeds), answer_a=answer, dataset="nci1")


def test_a_reference_goes_on_as_long_as_one_of_its_pairs_does(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job("diffpool", name) for name in ("learned", "uniform", "normal")] + [job("global_mean", "none")]
    trained: list[tuple[str, int]] = []

    def train(jobs: Sequence[Sequence[str]]) -> int:
        for text in map(" ".join, jobs):
            trained.append((re.search(r"pooling=(\w+)", text)[1], int(re.search(r"seeds=(\d+)", text)[1])))  # type: ignore[index]
        return 0

    def stored(*_: Any) -> tuple[list[SimpleNamespace], list[Any]]:
        seeds = dict(trained)
        # uniform is decided at the second look by a p-value that is below a half, not the whole, of the level; normal
        # has one in between, which of two planned comparisons decides nothing.
        p = {"uniform": 0.024 if seeds["uniform"] > 5 else 1.0, "normal": 0.026}
        names = ("uniform", "normal")
        return [found("diffpool-learned-nci1", f"diffpool-{n}-nci1", seeds[n], p[n]) for n in names], []

    monkeypatch.setattr(until_decided, "all_comparisons", stored)
    asked = question(looks=[5, 10, 20])
    pairs = plan(jobs, question())
    statuses = train_until_decided(jobs, pairs, asked, train)
    assert trained == [
        ("none", asked.seeds),
        *[("learned", 5), ("uniform", 5), ("normal", 5)],
        *[("learned", 10), ("uniform", 10), ("normal", 10)],
        *[("learned", 20), ("normal", 20)],
    ]
    assert [pair.stopped for pair in pairs] == ["decided", "the last look"]
    assert set(statuses) == {0}


@pytest.mark.parametrize(("standing", "stopped"), [(0, "decided"), (1, "the last look")])
def test_comparisons_that_are_collected_count(standing: int, stopped: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`rethinking compare` adjusts for them too."""
    jobs = [job("graclus", "learned"), job("graclus", "complement")]

    def collected(*_: Any) -> tuple[list[SimpleNamespace], list[Any]]:
        cells = [SimpleNamespace(id=id, dataset="zinc") for id in ("a", "b")]
        return [SimpleNamespace(local=cells[0], other=cells[1])] * standing, []

    monkeypatch.setattr(until_decided, "find_pairs", collected)
    monkeypatch.setattr(
        until_decided, "all_comparisons", lambda *_: ([found(jobs[0].id, jobs[1].id, jobs[0].seeds, p=0.03)], [])
    )
    (pair,) = pairs = plan(jobs, question())
    train_until_decided(jobs, pairs, question(looks=[5, 10]), lambda jobs: 0)
    assert pair.stopped == stopped


def test_pairs_of_the_host_are_apart_from_others_of_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind goes on to the last look, and is judged among its own."""
    jobs = [job("graclus", "learned"), job("graclus", "complement"),
            in_host("pyg/TopKPooling", "learned"), in_host("pyg/TopKPooling", "shuffled")]  # fmt: skip
    pairs = plan(jobs, question())
    asked = question(looks=[5, 10])
    # Below half of the level, but not below a fifth of it.
    seeds, p = {"now": 0}, 0.02

    def train(jobs: Sequence[Sequence[str]]) -> int:
        seeds["now"] = int(re.search(r"seeds=(\d+)", " ".join(jobs[0]))[1])  # type: ignore[index]
        return 0

    def standing(*_: Any) -> tuple[list[SimpleNamespace], list[Any]]:
        others = [found("a", f"b{i}", seeds["now"], 1.0) for i in range(4)]
        return [found("graclus-learned", "graclus-complement", seeds["now"], p), *others], []

    def hosted(_: Any, __: Any, checked: Sequence[Any]) -> list[SimpleNamespace]:
        return [found(one.own, one.twin, seeds["now"], p) for one in checked]

    jobs[0].id, jobs[1].id = "graclus-learned", "graclus-complement"
    monkeypatch.setattr(until_decided, "all_comparisons", standing)
    monkeypatch.setattr(until_decided, "comparisons_of", hosted)
    train_until_decided(jobs, pairs, asked, train)
    assert {pair.ids: (pair.stopped, len(pair.found.seeds)) for pair in pairs if pair.found} == {
        ("graclus-learned", "graclus-complement"): ("the last look", 10),
        ("pyg/TopKPooling-learned", "pyg/TopKPooling-shuffled"): ("decided", 5),
    }


def test_a_pair_that_lost_a_seed_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job("graclus", "learned"), job("graclus", "complement")]
    monkeypatch.setattr(
        until_decided, "all_comparisons", lambda *_: ([found(jobs[0].id, jobs[1].id, seeds=4, p=1.0)], [])
    )
    (pair,) = pairs = plan(jobs, question())
    train_until_decided(jobs, pairs, question(), lambda jobs: 1)
    assert pair.stopped == "1 of 5 seeds are missing"
    assert jobs[0].seeds == 5


def test_without_a_pair_there_is_nothing_to_decide() -> None:
    with pytest.raises(UserError, match="needs two cells to compare"):
        plan([job("graclus", "learned")], question())


def test_from_the_command_line(rethinking: Call, tmp_path: Path) -> None:
    """A margin of half of all graphs is shown at once; the same command trains no more."""
    command = (
        *(
            "run",
            "-m",
            "model=global_mean,graclus",
            "pooling=learned,complement,none",
            "skip_impossible=true",
            *SMALL,
            FEW,
        ),
        *("seeds=until_decided", "compare.seeds=1", "compare.looks=[6,7]", "tasks.classification.margin=0.5"),
    )
    first = rethinking(*command)
    assert first.returncode == 0, first.stderr
    row = next(line for line in first.stdout.splitlines() if "complement" in line and "decided" in line)
    assert " 6 " in row
    assert "`rethinking compare 'compare.looks=[6,7]'` says what follows" in first.stdout
    done = [entry for entry in RunStore(tmp_path / "runs").entries() if entry.state == "done"]
    assert len(done) == 2 * 6 + 1, "what is in no pair has the seeds that a comparison should have"
    again = rethinking(*command)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("(0 trained") == 3 and row in again.stdout.splitlines()


@pytest.mark.parametrize("word", ["compare.looks=[6,5]", "compare.level=2", "compare.nothing=1"])
def test_a_question_that_makes_no_sense_is_refused(rethinking: Call, word: str) -> None:
    result = rethinking("run", "-m", "model=graclus", "pooling=learned,complement", *SMALL, "seeds=until_decided", word)
    assert result.returncode == 2
    assert "expected" in result.stderr and "Traceback" not in result.stderr
