"""The harness' own layers in the host: as the operators of libraries, and their twins, but all replicas at once."""

from collections.abc import Mapping
from itertools import product

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from rethinking.configuration.composition import compose_cell
from rethinking.data.batches import Batches
from rethinking.graphs.levels import SparseLevel
from rethinking.layers.initial import initialise
from rethinking.models.host import Host
from rethinking.pooling.native import NativePool, shuffled
from rethinking.pooling.selection import HardSelection, SoftSelection
from tests.conftest import CPU, in_double, random_dataset
from tests.spanning import spanning
from tests.test_pairs import train

SEEDS = [0, 1, 2]
SIZES = {"replicas": 3, "in_features": 5, "max_nodes": 12, "clusters": 3, "ratio": 0.5}
DATASET = in_double(random_dataset(7))
# How the weights of PyG's operators are called in ours; both lie as [R, in, out] then.
WEIGHTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "mincut": {"weight": ("assign__weight",), "bias": ("assign__bias",)},
    "diffpool": {
        "weight": ("assign__lin_root__weight", "assign__lin_rel__weight"),
        "bias": ("assign__lin_root__bias",),
    },
}
CHOSEN = ("model=host", "pooler=native/mincut", "pooling=learned", "dataset=digits")
PYGS = {"mincut": "pyg/MinCutPool", "diffpool": "pyg/DiffPool"}


def pool(pooler: str, pooling: str, **sizes: int) -> nn.Module:
    cell = compose_cell(["model=host", f"pooler={pooler}", f"pooling={pooling}", "dataset=digits"])
    layer = instantiate(cell.select)(**{**SIZES, **sizes})
    network = nn.ModuleDict({"pools": nn.ModuleList([layer])})
    initialise(network, SEEDS[: sizes.get("replicas", 3)])
    return layer


def level_of(graphs: list[list[int]]) -> tuple[Tensor, SparseLevel]:
    batch = Batches(DATASET, CPU).batch(np.array(graphs), np.arange(len(graphs)).astype(np.uint64))
    return batch.x, batch.level


# PyG's losses are no numbers for graphs without edges.
JOINED = np.flatnonzero(np.diff(DATASET.in_ptr[DATASET.node_ptr]))[:8].tolist()
BATCH = [JOINED[:4], JOINED[2:6], JOINED[4:]]


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("pooling", ["learned", "shuffled", "random"])
@pytest.mark.parametrize("name", PYGS)
def test_equals_the_operator_of_pyg_on_the_same_weights(name: str, pooling: str) -> None:
    ours, theirs = pool(f"native/{name}", pooling), pool(PYGS[name], pooling)
    layer = ours.select.scores
    with torch.no_grad():
        for own, names in WEIGHTS[name].items():
            parts = [theirs.get_parameter(part) for part in names]
            stacked = torch.cat([p.mT if p.dim() == 3 else p[:, None] for p in parts], dim=1)
            layer.get_parameter(own).copy_(stacked)
    x, level = level_of(BATCH)
    found, wanted = ours(x, level), theirs(x, level)
    assert torch.allclose(found.x, wanted.x)
    edges = wanted.level.edge_index
    adjacency = torch.zeros(found.x.shape[0] * found.x.shape[1], found.x.shape[0] * found.x.shape[1])
    adjacency = adjacency.double().index_put((edges[0], edges[1]), wanted.level.edge_weight, accumulate=True)
    blocks = torch.block_diag(*found.level.adjacency.flatten(0, 1))
    assert torch.allclose(blocks, adjacency)
    assert found.losses.keys() == wanted.losses.keys()
    assert bool(found.losses) == (pooling != "random")
    for loss in wanted.losses:
        assert torch.allclose(found.losses[loss], wanted.losses[loss])


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("pooler", "pooling"),
    spanning(
        product(
            ("native/mincut", "native/diffpool", "native/graclus"),
            ("learned", "shuffled", "random", "complement", "none", "whole"),
        )
    ),
)
def test_three_replicas_equal_three_single_runs(pooler: str, pooling: str) -> None:
    """With two pooling layers."""
    small = ["trainer.max_epochs=2", "model.batch_size=8", "model.hidden=8", "model.pools=2"]
    cell = compose_cell(["model=host", f"pooler={pooler}", f"pooling={pooling}", "dataset=digits", *small])
    together = train(cell, DATASET, SEEDS)
    for seed, replica in together.items():
        assert replica.error is None
        for ours, expected in zip(replica.history, train(cell, DATASET, [seed])[seed].history, strict=True):
            assert ours == pytest.approx(expected, abs=1e-6)


@pytest.mark.usefixtures("double")
def test_twins_of_a_matching_keep_its_sizes() -> None:
    x, level = level_of(BATCH)
    own = pool("native/graclus", "learned")(x, level).selection
    for pooling in ("shuffled", "random"):
        twin = pool("native/graclus", pooling)(x, level).selection
        assert isinstance(own, HardSelection) and isinstance(twin, HardSelection)
        assert np.array_equal(own.count, twin.count)
        assert np.array_equal(own.cluster >= 0, twin.cluster >= 0)
        assert not np.array_equal(own.cluster, twin.cluster)
        for graph in range(12):
            mine, others = (np.bincount(s.cluster[level.rows_of(graph)]) for s in (own, twin))
            assert (others > 0).all()
            assert pooling == "random" or sorted(mine) == sorted(others)


@pytest.mark.usefixtures("double")
def test_a_shuffled_matching_takes_its_weights_along() -> None:
    x, level = level_of(BATCH)
    own = pool("native/graclus", "learned")(x, level).selection
    rows = np.flatnonzero(level.graph_of_row < 12)
    weight = torch.zeros(x.shape[0], x.shape[1], 1).flatten(0, 1)
    weight[rows, 0] = torch.rand(len(rows)) + 0.5
    weighed = HardSelection(own.cluster, own.count, level, weight.view(x.shape[0], x.shape[1], 1), own.width)
    twin = shuffled(weighed, np.arange(12, dtype=np.uint64))
    assert isinstance(twin, HardSelection) and twin.weight is not None
    moved = twin.weight.flatten(0, 1)
    for graph in range(12):
        mine = rows[level.graph_of_row[rows] == graph]
        before, after = (
            sorted(zip(cluster[mine].tolist(), weights[mine, 0].tolist(), strict=True))
            for cluster, weights in ((own.cluster, weight), (twin.cluster, moved))
        )
        assert before == after


@pytest.mark.usefixtures("double")
def test_losses_have_their_weights_and_those_of_layers_are_added() -> None:
    x, level = level_of(BATCH)
    sizes = {"in_features": 5, "max_nodes": 12, "clusters": 3, "ratio": 0.5}
    heavier = compose_cell([*CHOSEN, "model.pools=2", "pooler.operator.weights.cut=3.0"])
    plain = compose_cell([*CHOSEN, "model.pools=2"])
    once, thrice = (instantiate(c.select)(replicas=3, **sizes) for c in (plain, heavier))
    for layer in (once, thrice):
        initialise(nn.ModuleDict({"pools": nn.ModuleList([layer])}), SEEDS)
    first, second = once(x, level).losses, thrice(x, level).losses
    assert torch.allclose(3 * first["cut"], second["cut"])
    assert torch.allclose(first["orthogonality"], second["orthogonality"])
    network = plain.build(DATASET, plain.task())(3)
    initialise(network, SEEDS)
    seen: list[dict[str, Tensor]] = []
    for layer in network.pools:
        layer.register_forward_hook(lambda _, __, pooled: seen.append(pooled.losses))
    _, losses = network(x, level)
    assert len(seen) == 2 and losses.keys() == seen[0].keys()
    for name, loss in losses.items():
        assert torch.allclose(loss, seen[0][name] + seen[1][name])


@pytest.mark.usefixtures("double")
def test_what_a_twin_draws_is_the_graphs_and_not_the_steps() -> None:
    """A graph in another batch, at another place; of a soft one, the random S itself."""
    layer = pool("native/mincut", "random")
    others = [[JOINED[5], JOINED[0]], [JOINED[3], JOINED[6]], [JOINED[0], JOINED[5]]]
    first, second = (layer(*level_of(graphs)).selection for graphs in (BATCH, others))
    assert isinstance(first, SoftSelection)
    for replica, (before, after) in enumerate(((0, 1), (1, 0), (1, 1))):
        assert np.array_equal(first.of_graph(4 * replica + before), second.of_graph(2 * replica + after))


def test_a_native_operator_is_in_the_host_as_any_other() -> None:
    cell = compose_cell(["model=host", "pooler=native/mincut", "pooling=learned", "dataset=digits"])
    assert cell.family == "native_mincut" and cell.is_local
    assert cell.network["_target_"].endswith(Host.__name__)
    assert isinstance(pool("native/mincut", "shuffled"), NativePool)
    with pytest.raises(ValueError, match="there is no scorecard"):
        instantiate(cell.select["operator"])(**SIZES)
    none = ["model=host", "pooling=none", "dataset=digits"]
    assert compose_cell([*none, "pooler=native/mincut"]) == compose_cell(none)
