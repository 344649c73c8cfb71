"""Recorded steps give the numbers of ordinary ones. On the CPU a recorded step is the step itself, and all else alike.

What CUDA makes of them is in tests/cuda.
"""

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from rethinking import capture
from rethinking.data.batches import Batches
from rethinking.data.dataset import GraphDataset
from rethinking.data.split import StratifiedSplit
from rethinking.graphs import padded
from rethinking.layers.initial import initialise
from rethinking.models.adapter import LoopOverReplicas
from rethinking.models.family import phases_of
from rethinking.models.graclus import Graclus
from rethinking.models.inputs import DataShape
from rethinking.pooling.matching import NeighbourMatching
from rethinking.tasks.classification import Classification
from rethinking.training import captured
from rethinking.training.captured import CapturedSteps, Slots
from rethinking.training.group import ReplicaGroup
from rethinking.training.parameters import ParameterRows
from tests.conftest import CPU, in_double, random_dataset
from tests.layers.test_molecules import molecules
from tests.operators import plain_forms
from tests.spanning import spanning
from tests.test_pairs import RECORDED, cell, pairs_on
from tests.training import test_group

TASK = Classification()
VARIANTS = ("learned", "none", "complement", "uniform")

# Trained in the default run: each family with its own Select.
TRAINED = [
    pair if pair[1] in ("learned", "none") else pytest.param(*pair, marks=pytest.mark.slow)
    for pair in RECORDED
    if pair[1] in VARIANTS
]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As where it pays."""
    monkeypatch.setattr(capture, "pays", lambda device: True)
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def group(model: str, pooling: str, dataset: GraphDataset, seeds: range = range(3)) -> ReplicaGroup:
    chosen = cell(model, pooling)
    network = chosen.build(dataset, TASK)(len(seeds))
    initialise(network, seeds)
    splits = [StratifiedSplit(0.2, 0.2)(dataset, seed) for seed in seeds]
    return ReplicaGroup(network, dataset, splits, seeds, TASK, chosen.trainer, CPU)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("model", "pooling"), TRAINED)
def test_epochs_give_the_same_numbers(model: str, pooling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On directed graphs, and on molecules in the forms of operators that a GPU has; the last batch is smaller."""
    monkeypatch.setattr(padded, "STEP", 1.4)
    for data, plain in ((random_dataset(7, directed=True), False), (molecules(), True)):
        dataset = in_double(data)
        expected = group(model, pooling, dataset)
        with monkeypatch.context() as patched:
            patched.setattr(capture, "pays", lambda device: True)
            result = group(model, pooling, dataset)
        assert result._captured is not None
        # GMN's second epoch is of the other phase.
        for epoch in (1, 2) if model == "gmn" else (1,):
            with plain_forms(plain):
                losses = result.train(epoch)
            assert torch.allclose(losses, expected.train(epoch))
        assert result._captured._recorded
        # Adam makes much of rounding where a gradient is next to nothing; a step moves a weight by 1e-3.
        assert torch.allclose(result.state.parameters, expected.state.parameters, atol=5e-5)
        for name, buffer in expected.state.buffers.items():
            assert torch.allclose(result.state.buffers[name], buffer, atol=1e-6), name


@pytest.mark.parametrize(
    ("model", "pooling", "data"),
    [(*pair, "directed") for pair in RECORDED] + pairs_on("molecules", pairs=RECORDED),
)
def test_no_step_needs_the_host(model: str, pooling: str, data: str) -> None:
    """Whatever the family and the variant, on directed graphs and on molecules."""
    dataset = molecules() if data == "molecules" else random_dataset(7, directed=True)
    network = cell(model, pooling).build(dataset, TASK)(2)
    steps = CapturedSteps(network, ParameterRows(network), Batches(dataset, CPU), TASK, 1.0)
    assert steps.impossible is None


@pytest.mark.usefixtures("double", "recorded")
def test_an_operator_of_elsewhere_is_trained_in_ordinary_steps() -> None:
    ours = group("host", "learned", in_double(random_dataset(7)))
    assert "elsewhere" in ours._captured.impossible
    assert ours.train(1).isfinite().all() and not ours._captured._recorded


@pytest.mark.usefixtures("double")
def test_replicas_that_leave_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole training, some slots gone, later new ones; histories and epochs are those of ordinary steps."""
    dataset, seeds = in_double(random_dataset(7)), range(8)
    config = replace(test_group.CONFIG, learning_rate=3e-3, stop_patience=2)
    expected = test_group.train(dataset, seeds, config=config)
    made: list[list[int]] = []
    start = Slots.__init__
    monkeypatch.setattr(Slots, "__init__", lambda self, state: (made.append(list(state.seeds)), start(self, state))[1])
    monkeypatch.setattr(capture, "pays", lambda device: True)
    monkeypatch.setattr(captured, "IN_USE", 0.3)
    result = test_group.train(dataset, seeds, config=config)
    left = {len(replica.history) for replica in result.values()}
    assert made[0] == list(seeds) and 1 < len(made) < len(left), "slots that are gone, and new ones"
    for seed in seeds:
        assert result[seed].best_epoch == expected[seed].best_epoch
        for ours, theirs in zip(result[seed].history, expected[seed].history, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9)


@pytest.mark.usefixtures("double", "recorded")
@pytest.mark.parametrize(("model", "form"), spanning(product(("graclus", "diffpool", "gmn"), ("compiled", "plain"))))
def test_a_slot_that_is_gone_stays_and_reaches_nobody(model: str, form: str) -> None:
    """Not even where it is not a number."""
    dataset = in_double(random_dataset(7))
    ours, alone = group(model, "learned", dataset), group(model, "learned", dataset)
    for one in (ours, alone):
        one.train(1)
        one.state.keep([1, 2])
        one.splits = one.splits[1:]
        one.grads = one.rows.bind(one.state.parameters, one.state.buffers)
    slots = ours._captured._slots
    before = slots.moving.parameters[0].clone()
    alone._captured._slots = None
    with plain_forms(form == "plain"):
        losses = ours.train(3)
        assert torch.allclose(losses, alone.train(3))
    assert torch.equal(slots.moving.parameters[0], before)
    assert ours._captured._slots is slots and alone._captured._slots is not slots
    slots.moving.parameters[0] = torch.nan
    with plain_forms(form == "plain"):
        assert torch.allclose(ours.train(5), alone.train(5))
    assert torch.allclose(ours.state.parameters, alone.state.parameters, rtol=1e-6, atol=1e-8)
    assert slots.moving.parameters[0].isnan().all()


@pytest.mark.usefixtures("recorded")
def test_an_epoch_that_is_left_leaves_the_state_as_it_was() -> None:
    dataset = random_dataset(7)
    ours = group("graclus", "learned", dataset)
    before = ours.state.parameters.clone()
    ours.network.train()
    steps = ours._supervised_steps(1, ours.phase(1))
    next(steps)
    steps.close()
    assert torch.equal(ours.state.parameters, before)
    assert next(ours.network.parameters()).data_ptr() == ours.state.parameters.data_ptr()
    ours.train(1)
    assert not torch.equal(ours.state.parameters, before)


def test_what_is_wrong_in_the_thread_is_told(recorded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = group("graclus", "learned", random_dataset(7))
    assert ours._captured.impossible is None

    def broken(*arguments: object) -> None:
        raise OSError("no more")

    monkeypatch.setattr(ours.batches, "level", broken)
    with pytest.raises(OSError, match="no more"):
        ours.train(1)


class Asking(Graclus):
    """Asks the device."""

    def forward(self, x, level):
        prediction, losses = super().forward(x, level)
        return prediction * (2 if float(prediction.detach().sum()) > 0 else 1), losses


class Plain(nn.Module):
    """One of PyG's kind."""

    def __init__(self, in_features: int, out_features: int, select: object) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)

    def forward(self, x, edge_index, batch):
        return torch.zeros(int(batch.max()) + 1, x.shape[1]).index_add(0, batch, x) @ self.linear.weight.T


@pytest.mark.parametrize("kind", ["asking", "adapter"])
def test_what_cannot_be_recorded_is_trained_as_ever(recorded: None, kind: str) -> None:
    dataset = random_dataset(7)
    shape = DataShape(5, 2, 12)
    network = (
        Asking(2, shape, NeighbourMatching, 2, 8, 2)
        if kind == "asking"
        else LoopOverReplicas(2, shape, None, lambda **sizes: Plain(**sizes))
    )
    initialise(network, [0, 1])
    splits = [StratifiedSplit(0.2, 0.2)(dataset, seed) for seed in range(2)]
    ours = ReplicaGroup(network, dataset, splits, range(2), TASK, test_group.CONFIG, CPU)
    ours.network.train()
    assert ours._captured.impossible
    assert ours.train(1).isfinite().all()
    assert not ours._captured._recorded


def test_a_dry_run_changes_nothing(dataset: GraphDataset) -> None:
    """Neither weights nor statistics."""
    network = cell("gmn", "learned").build(dataset, TASK)(2)
    initialise(network, [0, 1])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    steps = CapturedSteps(network, ParameterRows(network), Batches(dataset, CPU), TASK, 1.0)
    assert steps.impossible is None
    assert phases_of(network)[0].name == "supervised"
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_on_the_cpu_nothing_is_recorded() -> None:
    assert group("graclus", "learned", random_dataset(7))._captured is None


def test_few_shapes_for_many_batches(recorded: None, digits: GraphDataset) -> None:
    ours = group("graclus", "learned", digits)
    ours.splits = [type(split)(split.train[:800], split.val, split.test) for split in ours.splits]
    ours.train(1)
    assert len(ours._captured._recorded) <= 8


def test_keys_and_graphs_are_those_of_ordinary_batches(recorded: None) -> None:
    """A matching that is drawn ahead is the same matching."""
    dataset = random_dataset(7)
    ours = group("graclus", "learned", dataset)
    graphs = np.array([[3, 4], [5, 6], [7, 8]])
    keys = np.array([1, 2, 3], np.uint64)
    fixed = ours._captured._fixed(graphs, keys)
    x, y, level = ours._captured._unpacked(fixed, torch.from_numpy(fixed.flat), ours.batches.x, ours.batches.y)
    batch = ours.batches.batch(graphs, keys)
    width = batch.level.topology.width
    assert torch.equal(x[:, :width], batch.x) and not x[:, width:].any() and torch.equal(y, batch.y)
    pool = ours.network.pools[0]
    h = torch.randn(3, width, 4)
    expected = pool(h, batch.level)
    result = pool(torch.nn.functional.pad(h, (0, 0, 0, x.shape[1] - width)), level)
    assert torch.equal(result.level.graph_sum(result.x), expected.level.graph_sum(expected.x))
    lifted = result.selection.lift(result.x)[:, :width]
    assert torch.equal(lifted, expected.selection.lift(expected.x))
