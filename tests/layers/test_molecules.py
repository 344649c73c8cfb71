"""Categorical features of atoms and bonds, in every family."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from rethinking.configuration.composition import compose_cell, options, possible_variants
from rethinking.data.batches import Batches
from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.data.split import StratifiedSplit
from rethinking.errors import UserError
from rethinking.graphs.fields import Fields
from rethinking.layers.initial import initialise
from rethinking.layers.molecules import MoleculeConv
from rethinking.tasks.classification import Classification
from rethinking.training.group import train_group
from tests.conftest import in_double, random_dataset

# How many values OGB's nine fields of an atom and three of a bond have.
FIELDS = Fields(node=(119, 5, 12, 12, 10, 6, 6, 2, 2), edge=(5, 6, 2))
CPU = torch.device("cpu")


def molecules(seed: int = 3) -> GraphDataset:
    """Random graphs with fields of OGB's sizes; both directions of a bond alike."""
    graphs = random_dataset(seed)
    rng = np.random.default_rng(seed)
    source, target = graphs.edge_index
    graph = np.repeat(np.arange(len(graphs)), graphs.sizes)
    nodes = len(graph)
    x = np.stack([rng.integers(0, size, nodes) for size in FIELDS.node], axis=1).astype(np.float32)
    bond = np.minimum(source, target) * nodes + np.maximum(source, target)
    edge_fields = np.stack([(bond * 31 + bond // 7) % size for size in FIELDS.edge], axis=1)
    return build_dataset("molecules", graph, graphs.edge_index, x, graphs.y, edge_fields, FIELDS)


class Peer(MessagePassing):
    """The same by PyG's message passing and torch's embeddings, for one replica."""

    def __init__(self, ours: MoleculeConv, replica: int) -> None:
        super().__init__(aggr="add")
        self.atoms, self.bonds = (
            [nn.Embedding.from_pretrained(part) for part in encoder.table[replica].detach().split(encoder.fields)]
            for encoder in (ours.atoms, ours.bonds)
        )
        self.weight, self.bias, self.root = (
            value[replica].detach() for value in (ours.linear.weight, ours.linear.bias, ours.root)
        )

    def forward(self, x: Tensor, edge_index: Tensor, edge_fields: Tensor) -> Tensor:
        h = sum(table(x[:, i]) for i, table in enumerate(self.atoms)) @ self.weight + self.bias
        bonds = sum(table(edge_fields[:, i]) for i, table in enumerate(self.bonds))
        return self.propagate(edge_index, x=h, bonds=bonds) + (h + self.root).relu()

    def message(self, x_j: Tensor, bonds: Tensor) -> Tensor:
        return (x_j + bonds).relu()


def test_the_convolution_equals_ogbs_with_sums() -> None:
    dataset = molecules()
    batch = Batches(dataset, CPU).batch(np.array([[3, 0, 7], [1, 9, 2]]), np.zeros(2, np.uint64))
    conv = MoleculeConv(2, FIELDS, 8)
    initialise(conv, [0, 1])
    ours = conv(batch.x, batch.level)
    edges, fields = batch.level.edge_index, batch.level.edge_fields
    width = batch.level.topology.width
    for replica in range(2):
        first = replica * width
        mine = (edges[1] >= first) & (edges[1] < first + width)
        expected = Peer(conv, replica)(batch.x[replica].long(), edges[:, mine] - first, fields[mine])
        assert torch.allclose(ours[replica], expected, atol=1e-5)


def test_the_fields_of_an_edge_stay_with_it() -> None:
    """Through sorting, batching and any other order of the graphs."""
    dataset = molecules()
    nodes = len(dataset.x)
    bond = {}
    for source, target, fields in zip(*dataset.edge_index, dataset.edge_fields, strict=True):
        assert bond.setdefault((min(source, target), max(source, target)), tuple(fields)) == tuple(fields)
    assert len(set(bond.values())) > 10
    graphs = np.array([[5, 2], [8, 5]])
    topology = Batches(dataset, CPU).batch(graphs, np.zeros(2, np.uint64)).level.topology
    row_of = np.full(topology.rows, nodes)
    for graph, start, size in zip(graphs.ravel(), topology.start, topology.size, strict=True):
        row_of[start : start + size] = dataset.node_ptr[graph] + np.arange(size)
    for source, target, fields in zip(*row_of[topology.edge_index], topology.edge_fields, strict=True):
        assert bond[min(source, target), max(source, target)] == tuple(fields)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("model", [model for model in options("model") if model not in ("constant", "mlp")])
def test_every_family_trains_on_molecules(model: str) -> None:
    dataset = in_double(molecules())
    overrides = [f"model={model}", f"pooling={possible_variants(model)[-1]}", "dataset=digits"]
    cell = compose_cell([*overrides, "trainer.max_epochs=2", "trainer.batch_size=8"])
    build = cell.build(dataset, Classification())

    def losses(seeds: list[int]) -> dict[int, float]:
        splits = [StratifiedSplit(0.2, 0.2)(dataset, seed) for seed in seeds]
        replicas = train_group(
            build, dataset, splits, seeds, Classification(), cell.trainer, 16, CPU, lambda replicas: None
        )  # fmt: skip
        return {replica.seed: replica.history[-1]["train_loss"] for replica in replicas}

    together = losses([0, 1])
    assert together[1] == pytest.approx(losses([1])[1], abs=1e-6)
    # The fields of atoms and bonds are seen.
    network = build(1)
    initialise(network, [0])
    for part in ("atoms.table", "bonds.table"):
        (table,) = [value for name, value in network.named_parameters() if name.endswith(part)]
        batch = Batches(dataset, CPU).batch(np.arange(len(dataset))[None], np.zeros(1, np.uint64))
        prediction = network(batch.x, batch.level)[0]
        assert torch.autograd.grad(prediction.square().sum(), table)[0].abs().max() > 0


def test_the_floor_of_summed_features_sees_atoms_only() -> None:
    dataset = molecules()
    cell = compose_cell(["model=mlp", "pooling=none", "dataset=digits"])
    network = cell.build(dataset, Classification())(1)
    initialise(network, [0])
    batch = Batches(dataset, CPU).batch(np.arange(len(dataset))[None], np.zeros(1, np.uint64))
    network(batch.x, batch.level)[0].square().sum().backward()
    assert network.atoms.table.grad.abs().max() > 0
    assert not any("bonds" in name for name, _ in network.named_parameters())


def test_fields_out_of_range_are_refused() -> None:
    graphs = molecules()
    graph = np.repeat(np.arange(len(graphs)), graphs.sizes)
    for x, edge_fields in ((graphs.x + 119, graphs.edge_fields), (graphs.x, graphs.edge_fields - 9)):
        with pytest.raises(UserError, match="whole numbers below"):
            build_dataset("molecules", graph, graphs.edge_index, x, graphs.y, edge_fields, FIELDS)
    with pytest.raises(UserError, match="row of fields for each"):
        build_dataset("molecules", graph, graphs.edge_index, graphs.x, graphs.y, None, FIELDS)
