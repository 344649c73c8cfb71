"""The host is the plain network that its description says, around no pooling, PyG's and what a test makes up."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch as PyGBatch
from torch_geometric.nn import GraphConv, TopKPooling, global_add_pool, global_max_pool, global_mean_pool

from rethinking.configuration.composition import compose_cell
from rethinking.data.batches import Batches
from rethinking.data.dataset import GraphDataset
from rethinking.graphs.levels import SparseLevel
from rethinking.layers import convolutions
from rethinking.layers.initial import initialise
from rethinking.models.host import Host
from rethinking.models.inputs import DataShape
from rethinking.pooling.foreign import NoPool
from rethinking.pooling.pool import Pooled
from rethinking.tasks.classification import Classification
from tests.conftest import CPU, in_double
from tests.models.test_peers import gradients
from tests.peers import to_pyg
from tests.peers.peer import copy_each, copy_graph_conv, copy_linear

SELECTS = {"none": ["pooling=none"], "topk": ["pooler=pyg/TopKPooling", "pooling=learned"]}
READOUTS = {"mean": global_mean_pool, "sum": global_add_pool, "max": global_max_pool}


class Peer(nn.Module):
    """The same by PyG alone, with two pooling layers."""

    def __init__(self, in_features: int, out_features: int, hidden: int, pool: str) -> None:
        super().__init__()
        self.convs = nn.ModuleList(GraphConv(width, hidden) for width in (in_features, hidden, hidden))
        self.pools = nn.ModuleList(TopKPooling(hidden, ratio=0.5) for _ in range(2 if pool == "topk" else 0))
        self.head, self.out = nn.Linear(hidden, hidden), nn.Linear(hidden, out_features)

    def forward(self, data: PyGBatch, readout: Callable[..., Tensor]) -> Tensor:
        edges, batch = data.edge_index, data.batch
        x = F.relu(self.convs[0](data.x, edges))
        for number, conv in enumerate(self.convs[1:]):
            if self.pools:
                x, edges, _, batch, *_ = self.pools[number](x, edges, None, batch)
            x = F.relu(conv(x, edges))
        return self.out(F.relu(self.head(readout(x, batch))))

    def copy(self, host: Host, replica: int) -> None:
        copy_each(copy_graph_conv, self.convs, host.convs, replica)
        copy_linear(self.head, host.head, replica)
        copy_linear(self.out, host.out, replica)
        for pool, source in zip(self.pools, host.pools, strict=False):
            pool.load_state_dict({"select.weight": source.get_parameter_or_buffer("pooler.select.weight")[replica]})


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("pool", SELECTS)
def test_equals_the_pyg_model(pool: str, readout: str, dataset: GraphDataset) -> None:
    """Predictions and the gradient of every parameter, those before the first pooling layer too."""
    dataset = in_double(dataset)
    words = ["model=host", *SELECTS[pool], "model.pools=2", "model.hidden=8", f"model.readout={readout}"]
    host = compose_cell([*words, "dataset=digits"]).build(dataset, Classification())(2)
    initialise(host, [0, 1])
    graphs = np.random.default_rng(0).permutation(len(dataset))[:24].reshape(2, 12)
    batch = Batches(dataset, CPU).batch(graphs, np.zeros(2, np.uint64))
    prediction, losses = host(batch.x, batch.level)
    assert not losses
    prediction.square().sum().backward()
    pyg = to_pyg(dataset)
    for replica in range(2):
        peer = Peer(dataset.in_features, dataset.classes, 8, pool)
        peer.copy(host, replica)
        expected = peer(PyGBatch.from_data_list([pyg[graph] for graph in graphs[replica]]), READOUTS[readout])
        assert torch.allclose(prediction[replica], expected)
        expected.square().sum().backward()
        for name, (ours, theirs) in gradients(host, replica, peer).items():
            assert theirs.any() and torch.allclose(ours, theirs, atol=1e-7 * float(theirs.abs().max())), name


class Told(NoPool):
    """No pooling, with a loss by which one knows the layer."""

    def __init__(self, told: list[dict[str, Any]], **sizes: Any) -> None:
        super().__init__(**sizes)
        told.append(sizes)
        self.loss = float(len(told))

    def forward(self, x: Tensor, level: SparseLevel) -> Pooled:
        return replace(super().forward(x, level), losses={"number": x.new_full((level.replicas,), self.loss)})


def told_host(told: list[dict[str, Any]], pools: int, ratio: float) -> Host:
    shape = DataShape(5, 2, max_nodes=12, mean_nodes=7.3)
    return Host(1, shape, partial(Told, told), convolutions.GraphConv, 8, pools, ratio, "mean")


def test_clusters_are_a_share_of_the_mean_size_and_room_is_for_the_largest() -> None:
    """The mean is rounded up before the share of it is: ⌈0.4 · 8⌉ = 4, and ⌈0.4 · 7.3⌉ would be 3."""
    told: list[dict[str, Any]] = []
    told_host(told, pools=2, ratio=0.4)
    assert [sizes["clusters"] for sizes in told] == [4, 2]
    assert [sizes["max_nodes"] for sizes in told] == [12, 5]
    assert {(sizes["in_features"], sizes["ratio"]) for sizes in told} == {(8, 0.4)}


def test_losses_of_one_name_are_added(dataset: GraphDataset) -> None:
    host = told_host([], pools=3, ratio=0.5)
    initialise(host, [0])
    batch = Batches(dataset, CPU).batch(np.arange(6)[None], np.zeros(1, np.uint64))
    _, losses = host(batch.x, batch.level)
    assert {name: loss.tolist() for name, loss in losses.items()} == {"number": [1 + 2 + 3]}
