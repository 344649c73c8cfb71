"""The Graclus model as one would write it with PyG alone: an oracle for the tests, a peer for the benchmark.

One seed, a `DataLoader`, `GraphConv`, and a matching drawn at every step. PyG's own `graclus` needs a compiled
extension and pairs with the lowest-numbered neighbour, so the matching comes from `rethinking.pooling`.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GraphConv, global_mean_pool, max_pool

from rethinking.data.dataset import GraphDataset
from rethinking.pooling.matching import Matching
from rethinking.pooling.topology import Topology


class PyGGraclus(nn.Module):
    """conv → (conv → pool) × (L−1) → mean → Linear → ReLU → Linear, on PyG batches."""

    def __init__(self, in_features: int, out_features: int, select: Matching, layers: int, hidden: int) -> None:
        super().__init__()
        self.select = select
        self.first = GraphConv(in_features, hidden)
        self.convs = nn.ModuleList(GraphConv(hidden, hidden) for _ in range(layers - 1))
        self.head = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, out_features)

    def forward(self, data: Batch, rng: np.random.Generator) -> Tensor:
        """Predictions [B, out]."""
        data.x = F.relu(self.first(data.x, data.edge_index))
        for conv in self.convs:
            data.x = F.relu(conv(data.x, data.edge_index))
            data = max_pool(draw_matching(self.select, data, rng), data)
        x = global_mean_pool(data.x, data.batch)
        return self.out(F.relu(self.head(x)))


def draw_matching(select: Matching, data: Batch, rng: np.random.Generator) -> Tensor:
    """A cluster for each node of a batch. Returns int64 [nodes]."""
    nodes = data.num_nodes
    sizes = torch.bincount(data.batch).numpy()
    topology = topology_of(data.edge_index.numpy(), sizes, nodes)
    partner = select.draw(topology, rng.integers(2**63, size=len(sizes)).astype(np.uint64))
    return torch.from_numpy(np.minimum(partner, np.arange(nodes)))


def topology_of(edge_index: np.ndarray, sizes: np.ndarray, nodes: int) -> Topology:
    """One replica's topology from PyG's arrays. edge_index: int64 [2, E]. sizes: int64 [B]."""
    compressed = []
    for row, column in (edge_index[::-1], edge_index):
        order = np.argsort(row, kind="stable")
        ptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=nodes))])
        compressed += [ptr.astype(np.int64), np.ascontiguousarray(column[order])]
    start = np.cumsum(sizes) - sizes
    return Topology(1, nodes, start, sizes, *compressed)


def to_pyg(dataset: GraphDataset) -> list[Data]:
    """The graphs of a data set as PyG objects."""
    graphs = []
    for graph in range(len(dataset)):
        first, last = dataset.node_ptr[graph], dataset.node_ptr[graph + 1]
        edges = slice(dataset.in_ptr[first], dataset.in_ptr[last])
        target = np.repeat(np.arange(first, last), np.diff(dataset.in_ptr[first : last + 1]))
        edge_index = torch.from_numpy(np.stack([dataset.in_rows[edges], target]) - first)
        x = torch.from_numpy(np.array(dataset.x[first:last]))
        graphs.append(Data(x=x, edge_index=edge_index, y=torch.tensor([int(dataset.y[graph])])))
    return graphs


def train_epochs(model: PyGGraclus, graphs: list[Data], batch_size: int, learning_rate: float) -> Iterator[float]:
    """Train for ever, an epoch at a time. Yields the mean loss of each."""
    loader = DataLoader(graphs, batch_size=batch_size, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    rng = np.random.default_rng(0)
    while True:
        model.train()
        total = 0.0
        for data in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(data, rng), data.y)
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * data.num_graphs
        yield total / len(graphs)
