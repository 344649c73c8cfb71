"""Every family equals the model that one would write with PyG alone: predictions, losses, gradients, statistics."""

from copy import deepcopy
from itertools import islice

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch as PyGBatch

from rethinking.configuration.cell import Cell
from rethinking.configuration.composition import compose_cell
from rethinking.data.batches import Batches
from rethinking.data.dataset import GraphDataset
from rethinking.layers.initial import initialise
from rethinking.models.inputs import DataShape
from rethinking.tasks.classification import Classification
from tests.conftest import random_dataset
from tests.models.test_graclus import FixedMatching
from tests.peers import BASELINES, FAMILIES, make_peer, to_pyg, train_epochs

TASK = Classification()
SOFT = ("diffpool", "diffpool_v2")
CASES: list[tuple[str, ...]] = [
    *((family,) for family in FAMILIES + BASELINES),
    # The first convolution sums; GMN has one head.
    *((family, "dataset=imdb_b") for family in (*SOFT, "gmn")),
    *((family, "model.pools=2", "model.ratio=0.25") for family in SOFT),
    *((family, "model.link_weight=0.3", "model.entropy_weight=2.0") for family in SOFT),
    # None but the pooling layer's own, which is of the initial one's kind in the first of them only.
    ("diffpool", "dataset=imdb_b", "model.convs_before_pool=1", "model.pools=2"),
    # Two or three convolutions before the pooling layer's own, and the convolution of PyG ≥ 1.5.
    *(("diffpool", f"model.convs_before_pool={convs}") for convs in (3, 4)),
    ("diffpool", "dataset=imdb_b", "fidelity.diffpool_convolutions_before=three"),
    *(("diffpool", "fidelity.diffpool_sage=separate_weight", *more) for more in ((), ("dataset=imdb_b",))),
    ("diffpool", "fidelity.diffpool_sage=separate_weight", "model.pools=2", "model.convs_before_pool=4"),
    ("mincut", "model.mincut_weight=0.3", "model.orthogonality_weight=2.0"),
    ("mincut", "model.layers=4"),
    *(("gmn", f"model.keys={keys}") for keys in ("[6,3,1]", "[6,3]")),
]


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_equals_the_pyg_model(case: tuple[str, ...], dataset: GraphDataset) -> None:
    family, *overrides = case
    chosen = cell(family, *overrides)
    network = chosen.build(dataset, TASK)(2).double()
    initialise(network, [0, 1])
    graphs = two_batches(family, dataset)
    batch = Batches(dataset, torch.device("cpu")).batch(graphs, np.zeros(2, np.uint64))
    if family == "graclus":
        for pool in network.pools:
            pool.select = FixedMatching(np.arange(batch.level.topology.rows))
    peers = []
    for replica in range(2):
        peer = make_peer(chosen, shape(dataset)).double()
        peer.copy(network, replica)
        if family == "graclus":
            peer.select = network.pools[0].select
        peers.append(peer)

    x = batch.x.double()
    prediction, losses = network.unsupervised(x, batch.level) if family == "gmn" else network(x, batch.level)
    sum(losses.values(), TASK.loss(prediction, batch.y)).sum().backward()
    for replica, peer in enumerate(peers):
        data = pyg_batch(dataset, graphs[replica])
        expected, expected_losses = peer.unsupervised(data) if family == "gmn" else peer.predict(data)
        sum(expected_losses.values(), F.cross_entropy(expected, data.y)).backward()
        assert torch.allclose(prediction[replica], expected)
        assert losses.keys() == expected_losses.keys()
        for name, loss in expected_losses.items():
            # The tiny number by which GMN's loss stays clear of log 0 is another than PyG's.
            assert torch.allclose(losses[name][replica], loss, atol=1e-7 if name == "kl" else 1e-9), name
        for name, (ours, theirs) in gradients(network, replica, peer).items():
            assert torch.allclose(ours, theirs, atol=1e-7 * float(theirs.abs().max())), name

    network.eval()
    prediction = network(x, batch.level)[0]
    for replica, peer in enumerate(peers):
        expected = peer.eval().predict(pyg_batch(dataset, graphs[replica]))[0]
        assert torch.allclose(prediction[replica], expected), "the running statistics differ"


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("family", FAMILIES)
def test_so_does_the_plain_form(family: str) -> None:
    test_equals_the_pyg_model((family,), random_dataset(7, directed=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_peer_trains(family: str) -> None:
    """All its weights but GMN's keys, which ordinary epochs leave alone."""
    torch.manual_seed(0)
    dataset = random_dataset(7)
    chosen = cell(family, "trainer.batch_size=8", "trainer.learning_rate=0.01")
    peer = make_peer(chosen, shape(dataset))
    before = deepcopy(peer.state_dict())
    graphs = [graph for graph in to_pyg(dataset) if graph.num_edges]
    losses = list(islice(train_epochs(peer, graphs, chosen.trainer), 8))
    assert losses[-1] < losses[0]
    # GMN's last layer has one key, so nothing to weigh its heads for.
    still = {"memories.0.k", "memories.1.k", "memories.1.conv.weight"} if family == "gmn" else set()
    for name, parameter in peer.named_parameters():
        assert torch.equal(parameter, before[name]) == (name in still), name


def cell(family: str, *overrides: str) -> Cell:
    variant = "none" if family in ("global_mean", *BASELINES) else "learned"
    return compose_cell([f"model={family}", f"pooling={variant}", "dataset=digits", *overrides])


def shape(dataset: GraphDataset) -> DataShape:
    return DataShape(dataset.in_features, dataset.classes, int(dataset.sizes.max()))


def two_batches(family: str, dataset: GraphDataset) -> np.ndarray:
    """The graphs of two replicas, int64 [2, B]."""
    graphs = np.random.default_rng(0).permutation(len(dataset))
    if family == "mincut":
        # PyG's quotient is 0/0 for a graph without edges.
        edges = np.diff(dataset.in_ptr[dataset.node_ptr])
        graphs = graphs[edges[graphs] > 0]
    half = len(graphs) // 2
    return graphs[: 2 * half].reshape(2, half)


def pyg_batch(dataset: GraphDataset, graphs: np.ndarray) -> PyGBatch:
    pyg = to_pyg(dataset)
    data = PyGBatch.from_data_list([pyg[graph] for graph in graphs])
    data.x = data.x.double()
    return data


def gradients(network: nn.Module, replica: int, peer: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """Ours and the peer's gradient of every parameter of the peer."""
    as_values = deepcopy(network)
    for parameter, original in zip(as_values.parameters(), network.parameters(), strict=True):
        parameter.data = original.grad
    ours = deepcopy(peer)
    ours.copy(as_values, replica)
    ours_by_name = dict(ours.named_parameters())
    return {name: (ours_by_name[name], parameter.grad) for name, parameter in peer.named_parameters()}
