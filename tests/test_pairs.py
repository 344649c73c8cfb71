"""What every pair of family and variant must keep, whichever files there are in `conf/`."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rethinking.configuration.cell import Cell
from rethinking.configuration.composition import compose_cell, options, possible_variants
from rethinking.data.batches import Batches
from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.data.split import StratifiedSplit
from rethinking.layers.initial import initialise
from rethinking.tasks.classification import Classification
from rethinking.training.group import train_group
from rethinking.training.state import Replica
from tests.conftest import in_double, random_dataset
from tests.spanning import spanning

PAIRS = [
    (model, pooling)
    for model, pooling in product(options("model"), options("pooling"))
    if pooling in possible_variants(model)
]
# Operators of elsewhere do what they like in a step, so the steps of networks around them are never recorded.
AROUND_OPERATORS = ("host", "src")
RECORDED = [pair for pair in PAIRS if pair[0] not in AROUND_OPERATORS]
# The host's twins are tried by default; around the other network they are the same layers.
EACH = [
    pytest.param(*pair, marks=pytest.mark.slow if pair[0] == "src" and pair[1] not in ("learned", "none") else [])
    for pair in PAIRS
]
CPU = torch.device("cpu")


def pairs_on(*kinds: str, pairs: Sequence[tuple[str, str]] = PAIRS) -> list[Any]:
    """Every pair with each kind of data; slow: Selects that are not the family's own, and all around `src`."""
    return [
        pytest.param(*pair, kind, marks=[] if pair[1] in ("learned", "none") and pair[0] != "src" else pytest.mark.slow)
        for pair, kind in product(pairs, kinds)
    ]


def cell(model: str, pooling: str, *overrides: str) -> Cell:
    small = ["trainer.max_epochs=2", "trainer.batch_size=8", *overrides]
    if model == "gmn":
        small.insert(0, "model.kl_period=2")
    return compose_cell([f"model={model}", f"pooling={pooling}", "dataset=digits", *small])


def train(cell: Cell, dataset: GraphDataset, seeds: Sequence[int]) -> dict[int, Replica]:
    splits = [StratifiedSplit(0.2, 0.2)(dataset, seed) for seed in seeds]
    build = cell.build(dataset, Classification())
    group = train_group(
        build, dataset, splits, seeds, Classification(), cell.trainer, 16, CPU, lambda replicas: None, True
    )  # fmt: skip
    return {replica.seed: replica for replica in group}


@pytest.fixture(scope="module")
def some_digits(digits: GraphDataset) -> GraphDataset:
    """The first fifty, five of each class."""
    nodes, edges = digits.node_ptr[50], digits.in_ptr[digits.node_ptr[50]]
    graph = np.repeat(np.arange(50), digits.sizes[:50])
    return build_dataset("digits", graph, digits.edge_index[:, :edges], digits.x[:nodes], digits.y[:50])


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("model", "pooling", "data"),
    spanning([(*pair, "random") for pair in PAIRS]) + pairs_on("digits"),
)
def test_three_replicas_equal_three_single_runs(model: str, pooling: str, data: str, some_digits: GraphDataset) -> None:
    """Two epochs on real graphs, which are directed, and on random ones, some of a single node or without edges."""
    dataset = some_digits if data == "digits" else random_dataset(7, directed=True)
    dataset = in_double(dataset)
    chosen = cell(model, pooling)
    together = train(chosen, dataset, [0, 1, 2])
    for seed, replica in together.items():
        assert replica.error is None
        assert len(replica.history) == 2
        for ours, expected in zip(replica.history, train(chosen, dataset, [seed])[seed].history, strict=True):
            assert ours == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("model", "pooling"), EACH)
def test_saved_weights_predict_the_same(model: str, pooling: str) -> None:
    dataset = random_dataset(7)
    build = cell(model, pooling).build(dataset, Classification())
    network, loaded = build(2), build(2)
    initialise(network, [0, 1])
    initialise(loaded, [8, 9])
    loaded.load_state_dict(network.state_dict())
    batch = Batches(dataset, CPU).batch(np.arange(12).reshape(2, 6), np.zeros(2, np.uint64))
    first, second = (n.eval()(batch.x, batch.level)[0] for n in (network, loaded))
    assert torch.equal(first, second)


def predict(chosen: Cell, dataset: GraphDataset, graphs: list[int], seed: int = 0) -> Tensor:
    network = chosen.build(random_dataset(7), Classification())(1)
    initialise(network, [seed])
    batch = Batches(dataset, CPU).batch(np.array([graphs]), np.zeros(1, np.uint64))
    return network.eval()(batch.x, batch.level)[0][0].detach()


@pytest.mark.parametrize(("model", "pooling"), EACH)
def test_the_other_graphs_of_a_batch_and_padding_change_nothing(model: str, pooling: str) -> None:
    dataset = random_dataset(7)
    chosen = cell(model, pooling)
    among = predict(chosen, dataset, [3, 9, 1, 4, 5, 6])
    alone = torch.cat([predict(chosen, dataset, [graph]) for graph in (3, 9, 1)])
    assert torch.allclose(among[:3], alone, atol=1e-5)


@pytest.mark.parametrize(("model", "pooling"), EACH)
def test_what_is_no_number_stays_in_its_replica(model: str, pooling: str) -> None:
    """Forward and backward: one seed that diverges takes no other with it."""
    dataset = random_dataset(7, directed=True)
    network = cell(model, pooling).build(dataset, Classification())(3)
    initialise(network, [0, 1, 2])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter[1] = torch.nan
    graphs = np.random.default_rng(0).permutation(len(dataset))[:18].reshape(3, 6)
    batch = Batches(dataset, CPU).batch(graphs, np.zeros(3, np.uint64))
    prediction, losses = network(batch.x, batch.level)
    for values in (prediction, *losses.values()):
        assert values[[0, 2]].isfinite().all() and not values[1].isfinite().all()
    sum(losses.values(), prediction.sum(dim=(1, 2))).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is None or parameter.grad[[0, 2]].isfinite().all(), name


def renumbered(dataset: GraphDataset) -> GraphDataset:
    """The same graphs, the nodes of each in another order."""
    rng = np.random.default_rng(0)
    graph = np.repeat(np.arange(len(dataset)), dataset.sizes)
    order = np.lexsort((rng.random(len(graph)), graph))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return build_dataset(dataset.name, graph, place[dataset.edge_index], dataset.x[order], dataset.y)


HARD = ("graclus",)
RANDOM = ("uniform", "normal", "bernoulli", "categorical")
SOFT = [pair for pair in PAIRS if pair[0] not in HARD]
VARYING = [pair for pair in SOFT if pair[1] in RANDOM]
# Twins of an operator are drawn for the places of nodes, too, and have no other form. Where every node is a cluster, as
# without an operator, the others renumber clusters only.
TWINS = [pair for pair in SOFT if pair[1] == "shuffled_input"]
INVARIANT = [pair for pair in SOFT if pair[1] not in RANDOM and pair not in TWINS]
# The auxiliary losses of each family, and the Selects they teach.
WEIGHTS = {
    "mincut": ("mincut_weight", "orthogonality_weight"),
    "diffpool": ("link_weight", "entropy_weight"),
    "diffpool_v2": ("link_weight", "entropy_weight"),
    "gmn": ("kl_weight",),
}
TAUGHT = ("learned", "complement")


@pytest.mark.parametrize(("model", "pooling", "extra"), [(*pair, ()) for pair in INVARIANT]
                         + [(*pair, ("pooling.invariant=true",)) for pair in VARYING])  # fmt: skip
def test_predictions_do_not_depend_on_how_nodes_are_numbered(model: str, pooling: str, extra: tuple[str, ...]) -> None:
    dataset = random_dataset(7)
    graphs = list(range(len(dataset)))
    chosen = cell(model, pooling, *extra)
    assert torch.allclose(predict(chosen, dataset, graphs), predict(chosen, renumbered(dataset), graphs), atol=1e-5)


@pytest.mark.parametrize(("model", "pooling"), VARYING + TWINS)
def test_plain_random_variants_do(model: str, pooling: str) -> None:
    dataset = random_dataset(7)
    graphs = list(range(len(dataset)))
    chosen = cell(model, pooling)
    difference = predict(chosen, dataset, graphs) - predict(chosen, renumbered(dataset), graphs)
    # Well above what rounding may do where numbering does not matter.
    assert difference.abs().max() > 3e-5


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("model", "pooling"), [pair for pair in PAIRS if pair[0] in WEIGHTS])
def test_auxiliary_losses_apply_to_selects_that_learn_only(model: str, pooling: str) -> None:
    """Seen in the weights after training: far above rounding where they apply, not a bit where they do not."""
    dataset = in_double(random_dataset(7))
    weights = []
    for weight in ("0.0", "10.0"):
        overrides = ["trainer.max_epochs=1", *(f"model.{name}={weight}" for name in WEIGHTS[model])]
        overrides += ["model.kl_period=1"] if model == "gmn" else []
        weights.append(train(cell(model, pooling, *overrides), dataset, [0])[0].weights)
    change = max(float((value - weights[1][name]).abs().max()) for name, value in weights[0].items())
    assert change > 1e-6 if pooling in TAUGHT else change == 0


@pytest.mark.parametrize(("model", "pooling"), [pair for pair in SOFT if pair[1] in (*RANDOM, "distance")])
def test_what_is_drawn_once_is_constant_through_training_and_saved(model: str, pooling: str) -> None:
    dataset = random_dataset(7)
    chosen = cell(model, pooling)
    seen = []
    build = chosen.build(dataset, Classification())

    def keep(replicas: int) -> torch.nn.Module:
        seen.append(build(replicas))
        return seen[-1]

    splits = [StratifiedSplit(0.2, 0.2)(dataset, 0)]
    list(train_group(keep, dataset, splits, [0], Classification(), chosen.trainer, 16, CPU, lambda replicas: None))
    fresh = build(1)
    initialise(fresh, [0])
    drawn = [name for name in seen[0].state_dict() if name.endswith(("random", ".keys"))]
    assert drawn
    for name in drawn:
        assert torch.equal(seen[0].get_buffer(name), fresh.get_buffer(name))
    assert not torch.equal(seen[0].out.weight, fresh.out.weight)


@pytest.mark.usefixtures("double")
def test_diffpool_with_more_convolutions_before_pooling() -> None:
    """The other reading of the paper keeps the laws: replicas, numbering; and has as many more convolutions."""
    dataset = random_dataset(7, directed=True)
    more = "model.convs_before_pool=4"
    chosen = cell("diffpool", "learned", more)
    together = train(chosen, in_double(dataset), [0, 1])
    for seed, replica in together.items():
        alone = train(chosen, in_double(dataset), [seed])[seed]
        for ours, expected in zip(replica.history, alone.history, strict=True):
            assert ours == pytest.approx(expected, abs=1e-6)
    torch.set_default_dtype(torch.float)
    graphs = list(range(len(dataset)))
    assert torch.allclose(predict(chosen, dataset, graphs), predict(chosen, renumbered(dataset), graphs), atol=1e-5)
    convolutions = [
        sum(
            name.startswith(("initial", "more.convs")) and name.endswith("weight")
            for name, _ in network.named_parameters()
        )
        for network in (cell("diffpool", "learned", *o).build(dataset, Classification())(1) for o in ([], [more]))
    ]
    assert convolutions[1] == 3 * convolutions[0]
