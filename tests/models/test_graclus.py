"""The Graclus network equals its plain PyG form, and does not depend on how nodes are numbered."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from rethinking.data.batches import Batches, lay_out
from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.topology import Topology
from rethinking.layers.initial import initialise
from rethinking.models.graclus import Graclus
from rethinking.models.inputs import DataShape
from rethinking.pooling.matching import Matching, NeighbourMatching
from tests.conftest import random_dataset
from tests.peers import PyGGraclus, to_pyg, topology_of


class FixedMatching(Matching):
    """Pairs neighbours, the same ones whatever the stream: by visiting nodes in a given order."""

    is_local = True

    def __init__(self, rank: np.ndarray) -> None:
        super().__init__()
        self.rank = rank

    def draw(self, topology: Topology, keys: np.ndarray) -> np.ndarray:
        partner = np.arange(topology.rows)
        for row in np.argsort(self.rank[: topology.rows]):
            others = topology.out_rows[topology.out_ptr[row] : topology.out_ptr[row + 1]]
            free = [other for other in others if partner[other] == other]
            if partner[row] == row and free:
                chosen = min(free, key=lambda other: self.rank[other])
                partner[row], partner[chosen] = chosen, row
        return partner


class GivenMatching(Matching):
    def __init__(self, partner: np.ndarray) -> None:
        super().__init__()
        self.partner = partner

    def draw(self, topology: Topology, keys: np.ndarray) -> np.ndarray:
        return self.partner


def test_equals_the_plain_pyg_model() -> None:
    dataset = random_dataset(3)
    ours = Graclus(1, DataShape(dataset.in_features, 2, 12), NeighbourMatching, layers=3, hidden=8, convs_before_pool=2)
    initialise(ours, [5])
    rank = np.random.default_rng(0).permutation(len(dataset.x))
    peer = PyGGraclus(dataset.in_features, 2, FixedMatching(rank), layers=3, hidden=8)
    pairs = zip(ours.convs, [peer.first, *peer.convs], strict=True)
    with torch.no_grad():
        for conv, pyg in pairs:
            half = conv.in_features
            pyg.lin_root.weight.copy_(conv.weight[0, :half].T)
            pyg.lin_rel.weight.copy_(conv.weight[0, half:].T)
            pyg.lin_rel.bias.copy_(conv.bias[0, 0])
        for linear, pyg in ((ours.head, peer.head), (ours.out, peer.out)):
            pyg.weight.copy_(linear.weight[0].T)
            pyg.bias.copy_(linear.bias[0, 0])
    for pool in ours.pools:
        pool.select = FixedMatching(rank)
    graphs = np.arange(len(dataset))[None]
    batch = Batches(dataset, torch.device("cpu")).batch(graphs, np.zeros(1, np.uint64))
    prediction = ours(batch.x, batch.level)[0][0]
    expected = peer(Batch.from_data_list(to_pyg(dataset)), np.random.default_rng(0))
    assert torch.allclose(prediction, expected, atol=1e-5)

    prediction.square().sum().backward()
    expected.square().sum().backward()
    assert torch.allclose(ours.convs[0].weight.grad[0, :5].T, peer.first.lin_root.weight.grad, atol=1e-4)
    assert torch.allclose(ours.convs[2].weight.grad[0, 8:].T, peer.convs[1].lin_rel.weight.grad, atol=1e-4)


@pytest.mark.usefixtures("both_forms")
@pytest.mark.parametrize("directed", [False, True])
def test_renumbering_the_nodes_permutes_the_clusters_and_keeps_the_prediction(directed: bool) -> None:
    dataset = random_dataset(11, directed=directed)
    graph = int(np.argmax(dataset.sizes))
    topology, nodes = lay_out(dataset, np.array([[graph]]))
    n = topology.width
    permutation = np.random.default_rng(2).permutation(n)  # node i becomes node permutation[i]
    renumbered = topology_of(permutation[topology.edge_index], np.array([n]), n)
    x = torch.from_numpy(dataset.x[nodes])[None]
    x_renumbered = torch.empty_like(x)
    x_renumbered[:, permutation] = x

    model = Graclus(
        1, DataShape(dataset.in_features, 2, 12), NeighbourMatching, layers=2, hidden=8, convs_before_pool=2
    )
    initialise(model, [0])
    partner = model.pools[0].select.draw(topology, np.array([4], np.uint64))
    partner_renumbered = np.empty_like(partner)
    partner_renumbered[permutation] = permutation[partner]
    predictions = []
    for features, level, matching in ((x, topology, partner), (x_renumbered, renumbered, partner_renumbered)):
        model.pools[0].select = GivenMatching(matching)
        predictions.append(model(features, SparseLevel(level, torch.device("cpu"), np.zeros(1, np.uint64)))[0])
    assert torch.allclose(*predictions, atol=1e-6)


def test_one_convolution_drops_the_initial_one() -> None:
    """The rows "1 convolution" of Table 2."""

    def convolutions(convs_before_pool: int) -> int:
        return len(Graclus(1, DataShape(3, 2, 12), NeighbourMatching, 3, 8, convs_before_pool).convs)

    assert (convolutions(2), convolutions(1)) == (3, 2)
