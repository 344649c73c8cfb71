"""Training goes on from a saved state as if it had not been interrupted: the same numbers, to the bit, on a CPU."""

import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from rethinking.configuration.composition import compose_cell
from rethinking.data.split import StratifiedSplit
from rethinking.errors import UserError
from rethinking.tasks.classification import Classification
from rethinking.tasks.regression import Regression
from rethinking.tasks.task import Task
from rethinking.training.group import ReplicaGroup, train_group
from rethinking.training.state import GroupState, Replica
from tests.conftest import ROOT, random_dataset

SEEDS = [0, 1, 2, 3, 4]
# Seeds leave one after another; rates fall; gradients are clipped.
SMALL = (
    "trainer.max_epochs=14", "trainer.stop_patience=4", "trainer.decay_patience=2", "trainer.learning_rate=0.003",
    "trainer.batch_size=8", "trainer.gradient_clip=0.5",
)  # fmt: skip
# By name: the task, and the overrides.
CASES: dict[str, tuple[Task, list[str]]] = {
    "matchings": (Regression(), ["model=graclus"]),
    "a second phase": (Classification(), ["model=gmn", "model.kl_period=2"]),
    "as released": (Regression(), ["model=gmn", "model.kl_period=3", "model.network.keys_learn=false"]),
    "the last weights": (Regression(), ["model=diffpool_v2", "fidelity.best_weights=released_code"]),
}


def train(name: str, resume: dict[str, Any] | None = None) -> tuple[dict[int, Replica], dict[int, dict[str, Any]]]:
    """The replicas, and a copy of the state after every epoch."""
    task, overrides = CASES[name]
    cell = compose_cell([*overrides, "pooling=learned", "dataset=digits", *SMALL])
    dataset = random_dataset(7, graphs=60)
    states = {}

    def note(state: GroupState) -> None:
        states[state.epoch] = deepcopy(state.state_dict())

    group = train_group(
        cell.build(dataset, task), dataset, [StratifiedSplit(0.2, 0.2)(dataset, seed) for seed in SEEDS], SEEDS,
        task, cell.trainer, 16, torch.device("cpu"), note, save_weights=True, resume=resume,
    )  # fmt: skip
    return {replica.seed: replica for replica in group}, states


def numbers(replica: Replica) -> dict[str, Any]:
    """All but the time it took."""
    return {name: value for name, value in vars(replica).items() if name != "seconds"}


def resume_all(folder: str) -> None:
    """Go on with every saved state, and save what comes out."""
    for path in Path(folder).glob("*.state"):
        replicas, _ = train(path.stem, torch.load(path, weights_only=True))
        torch.save({seed: numbers(replica) for seed, replica in replicas.items()}, path.with_suffix(".end"))


@pytest.fixture(scope="module", params=["here", pytest.param("in another process", marks=pytest.mark.slow)])
def interrupted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """By case: the uninterrupted replicas, the saved state, and what was made of its file."""
    folder = tmp_path_factory.mktemp("states")
    found: dict[str, Any] = {}
    for name in CASES:
        replicas, states = train(name)
        # After the epoch in which the first have left.
        epoch = 1 + min(len(replica.history) for replica in replicas.values())
        torch.save(states[epoch], folder / f"{name}.state")
        found[name] = (replicas, states[epoch])
    if request.param == "here":
        resume_all(str(folder))
    else:
        code = f"from tests.training.test_state import resume_all; resume_all({str(folder)!r})"
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    return {name: (*both, torch.load(folder / f"{name}.end", weights_only=True)) for name, both in found.items()}


@pytest.mark.parametrize("name", CASES)
def test_training_goes_on_to_the_same_numbers(name: str, interrupted: dict[str, Any]) -> None:
    whole, saved, resumed = interrupted[name]
    assert sorted(resumed) == sorted(saved["seeds"])
    assert 0 < len(resumed) < len(SEEDS), "no replica left before: a weak test"
    for seed, replica in resumed.items():
        expected = numbers(whole[seed])
        assert replica["history"] == expected["history"]
        assert replica["best_epoch"] == expected["best_epoch"] and replica["error"] is None
        for part in ("weights", "predictions"):
            assert replica[part].keys() == expected[part].keys()
            for key, value in expected[part].items():
                assert torch.equal(replica[part][key], value), (part, key)


def test_the_interruption_lies_before_some_best_epochs_and_after_others(interrupted: dict[str, Any]) -> None:
    """Otherwise the test above does not see that what belongs to the best epoch is saved, or goes on to be replaced."""
    later = [
        replica["best_epoch"] > saved["epoch"]
        for _, saved, resumed in interrupted.values()
        for replica in resumed.values()
    ]
    assert any(later) and not all(later)


def test_a_replica_that_was_done_in_the_last_epoch_seen_is_yielded() -> None:
    """`on_epoch` sees a state before those who are done leave it."""
    replicas, states = train("matchings")
    epoch = min(len(replica.history) for replica in replicas.values())
    leaving = [seed for seed, replica in replicas.items() if len(replica.history) == epoch]
    resumed, _ = train("matchings", states[epoch])
    assert set(leaving) < set(resumed)
    for seed in leaving:
        assert resumed[seed].history == replicas[seed].history


@pytest.mark.parametrize("name", ["matchings", "a second phase"])
def test_predictions_are_those_of_the_best_epoch(name: str) -> None:
    """The recorded loss and score follow from them."""
    task = CASES[name][0]
    dataset = random_dataset(7, graphs=60)
    for seed, replica in train(name)[0].items():
        split, record = StratifiedSplit(0.2, 0.2)(dataset, seed), replica.history[replica.best_epoch - 1]
        for part, graphs in (("val", split.val), ("test", split.test)):
            prediction, y = replica.predictions[part][None], torch.from_numpy(dataset.y[graphs])[None]
            assert prediction.shape[:2] == y.shape
            assert float(task.score(prediction, y)) == pytest.approx(record[f"{part}_{task.metric}"], abs=1e-6)
            assert float(task.loss(prediction, y)) == pytest.approx(record[f"{part}_loss"], abs=1e-6)


def test_a_state_that_does_not_fit_is_refused() -> None:
    _, states = train("matchings")
    with pytest.raises(UserError, match="another network"):
        train("a second phase", states[1])
    with pytest.raises(UserError, match="some of the seeds"):
        train("matchings", states[1] | {"seeds": [0, 1, 2, 3, 9]})
    with pytest.raises(UserError, match="expected a state with seeds"):
        train("matchings", {name: value for name, value in states[1].items() if name != "histories"})


def changed(state: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    """A copy of a saved state with something else at a place in it."""
    state = deepcopy(state)
    part: Any = state
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = to(part[path[-1]])
    return state


# By name: where a state is damaged, and what is there instead.
DAMAGE: dict[str, tuple[tuple[Any, ...], Callable[[Any], Any]]] = {
    "seeds": (("seeds",), lambda seeds: None),
    "a seed twice": (("seeds",), lambda seeds: [seeds[0], *seeds[:-1]]),
    "a rate that is missing": (("learning_rate",), lambda rates: rates[:-1]),
    "a rate in words": (("learning_rate",), lambda rates: "fast"),
    "a negative rate": (("learning_rate",), lambda rates: -rates),
    "a rate that is no number": (("learning_rate",), lambda rates: rates * float("nan")),
    "precision": (("parameters",), lambda rows: rows.double()),
    "a plateau of another length": (("plateau_best",), lambda best: best[:1]),
    "a negative wait": (("plateau_waited",), lambda waited: waited - 99),
    "a best epoch to come": (("best_epoch",), lambda best: best + 99),
    "best weights of another network": (("best_parameters",), lambda rows: rows[:, 1:]),
    "best buffers": (("best_buffers",), lambda buffers: {**buffers, "more": torch.zeros(1)}),
    "a phase": (("moments",), lambda moments: {"other": next(iter(moments.values()))}),
    "negative steps": (("moments", "supervised", "steps"), lambda steps: steps - 1e6),
    "a history": (("histories",), lambda histories: histories[1:]),
    "a row": (("histories", 0), lambda history: history[1:]),
    "rows that are none": (("histories", 0), lambda history: [None for _ in history]),
    "a text in a history": (("histories", 0, 0, "train_loss"), lambda loss: "low"),
    "a column": (("histories", 1, 0), lambda row: {**row, "more": 1.0}),
    "time": (("seconds",), lambda seconds: [None for _ in seconds]),
    "errors": (("errors",), lambda errors: {}),
    "epoch": (("epoch",), lambda epoch: float(epoch)),
    "a negative epoch": (("epoch",), lambda epoch: -1),
    "an earlier epoch": (("epoch",), lambda epoch: epoch - 1),
    "predictions": (("best_predictions",), lambda predictions: {}),
    "predictions of other graphs": (("best_predictions", "val"), lambda rows: rows[:, 1:]),
    "predictions in words": (("best_predictions", "test"), lambda rows: "all right"),
}


@pytest.fixture(scope="module")
def second() -> dict[str, Any]:
    """The state after two epochs."""
    return train("matchings")[1][2]


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_state_is_refused_in_a_sentence_and_nothing_of_it_taken(name: str, second: dict[str, Any]) -> None:
    path, to = DAMAGE[name]
    damaged = changed(second, *path, to=to)
    group = resumable()
    before = deepcopy(group.state.state_dict())
    with pytest.raises(UserError, match=r"^The saved state cannot be gone on from: .*\. Train from the start\.$"):
        group.resume(damaged)
    assert str(group.state.state_dict()) == str(before)


@pytest.mark.parametrize("saved", [{}, None, [], {"seeds": [[0]]}, {"seeds": [0], 3: 4}, "state"])
def test_what_is_no_state_is_refused(saved: Any) -> None:
    with pytest.raises(UserError, match="state"):
        train("matchings", saved if saved is not None else {"seeds": None})


def test_a_whole_state_is_taken(second: dict[str, Any]) -> None:
    group = resumable()
    group.resume(second)
    assert group.state.epoch == 2


def resumable() -> ReplicaGroup:
    """The group of the case without its training."""
    task, overrides = CASES["matchings"]
    cell = compose_cell([*overrides, "pooling=learned", "dataset=digits", *SMALL])
    dataset = random_dataset(7, graphs=60)
    splits = [StratifiedSplit(0.2, 0.2)(dataset, seed) for seed in SEEDS]
    network = cell.build(dataset, task)(len(SEEDS))
    return ReplicaGroup(network, dataset, splits, SEEDS, task, cell.trainer, torch.device("cpu"))


def test_loading_takes_a_copy() -> None:
    """One saved state can be gone on from twice."""
    _, states = train("matchings")
    first, _ = train("matchings", states[2])
    second, _ = train("matchings", states[2])
    assert [replica.history for replica in first.values()] == [replica.history for replica in second.values()]
