"""An ordinary PyG model trains in a group as it would alone."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import BatchNorm, GraphConv, global_mean_pool

from rethinking.data.batches import Batches
from rethinking.data.dataset import GraphDataset
from rethinking.data.split import StratifiedSplit
from rethinking.layers.initial import initialise
from rethinking.models.adapter import LoopOverReplicas
from rethinking.models.inputs import DataShape
from rethinking.tasks.classification import Classification
from rethinking.training.group import train_group
from rethinking.training.settings import TrainerConfig
from rethinking.training.state import Replica
from tests.conftest import in_double, random_dataset
from tests.peers import to_pyg


class Ordinary(nn.Module):
    def __init__(self, in_features: int, out_features: int, select: object) -> None:
        super().__init__()
        # A bias before batch normalisation has no gradient but rounding, which Adam would blow up.
        self.conv = GraphConv(in_features, 8, bias=False)
        self.norm = BatchNorm(8)
        self.dropout = nn.Dropout(0.3)
        self.out = nn.Linear(8, out_features)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv(x, edge_index)))
        return self.out(self.dropout(global_mean_pool(x, batch)))


def make(replicas: int, dataset: GraphDataset) -> LoopOverReplicas:
    return LoopOverReplicas(replicas, DataShape(dataset.in_features, 2, 12), None, Ordinary)


def test_each_replica_predicts_what_its_module_would(dataset: GraphDataset) -> None:
    model = make(2, dataset)
    initialise(model, [3, 4])
    model.eval()
    graphs = np.array([[0, 5, 9], [20, 1, 5]])
    batch = Batches(dataset, torch.device("cpu")).batch(graphs, np.zeros(2, np.uint64))
    predictions, _ = model(batch.x, batch.level)
    pyg = to_pyg(dataset)
    for replica in range(2):
        module = Ordinary(dataset.in_features, 2, None).eval()
        module.load_state_dict({n: model.get_parameter_or_buffer(n)[replica] for n in module.state_dict()})
        data = Batch.from_data_list([pyg[graph] for graph in graphs[replica]])
        assert torch.allclose(predictions[replica], module(data.x, data.edge_index, data.batch), atol=1e-6)
    assert not torch.allclose(
        model.get_parameter_or_buffer("out.weight")[0], model.get_parameter_or_buffer("out.weight")[1]
    )


@pytest.mark.usefixtures("double")
def test_what_a_module_draws_is_new_in_every_step_and_replica() -> None:
    """Dropout here: of equal weights and graphs, predictions are the same with the same stream only."""
    dataset = in_double(random_dataset(7))
    model = make(2, dataset)
    initialise(model, [3, 3])
    batches = Batches(dataset, torch.device("cpu"))

    def predict(*keys: int) -> Tensor:
        batch = batches.batch(np.array([[0, 5, 9, 20, 1, 6]] * 2), np.array(keys, np.uint64))
        return model(batch.x, batch.level)[0]

    first = predict(1, 2)
    assert not torch.allclose(first[0], first[1], atol=1e-3)
    assert not torch.allclose(predict(3, 2)[0], first[0], atol=1e-3)
    assert torch.allclose(predict(2, 1), first.flip(0))


def test_replicas_equal_single_runs(dataset: GraphDataset) -> None:
    config = TrainerConfig(8, 0.1, 1e-5, 0.5, 3, 4, 20, None)
    splitter = StratifiedSplit(0.2, 0.2)

    def train(seeds: list[int]) -> dict[int, Replica]:
        splits = [splitter(dataset, seed) for seed in seeds]
        group = train_group(
            lambda r: make(r, dataset), dataset, splits, seeds, Classification(), config, 16, torch.device("cpu"),
            lambda replicas: None,
        )  # fmt: skip
        return {replica.seed: replica for replica in group}

    together = train([0, 1, 2, 3, 4])
    assert len({len(replica.history) for replica in together.values()}) > 1, "no replica left early"
    for seed, replica in together.items():
        for ours, expected in zip(replica.history, train([seed])[seed].history, strict=True):
            assert ours == pytest.approx(expected, abs=1e-4)
