"""Whether graphs that differ still differ after pooling (Bianchi and Lachi 2023).

They do if every node counts alike: the rows of the assignment S all have the same sum, other than zero, and X' = SᵀX
(a sufficient condition, not a necessary one). And a network with the operator in its middle can be trained to tell
apart what the Weisfeiler-Leman test tells apart.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from rethinking.data.dataset import GraphDataset
from rethinking.data.wl_pairs import read_wl_pairs
from rethinking.pooling.operators.interface import Assignment, Graphs, Operator
from rethinking.pooling.operators.neighbours import sum_over_neighbours
from rethinking.randomness import stream
from rethinking.scorecard.fit import seeded
from rethinking.scorecard.making import MakeOperator, make_operator
from rethinking.scorecard.settings import ExpressiveSettings


@dataclass(frozen=True)
class RowSums:
    """The least and the greatest sum of a row of S, and whether all are the same number, not zero."""

    least: float
    greatest: float
    constant: bool


@dataclass(frozen=True)
class Accuracy:
    """test: of the epoch with the least validation loss. train: the last epoch's, with dropout."""

    test: float
    train: float


def row_sums(assignment: Assignment, tolerance: float) -> RowSums:
    """tolerance: by which sums may differ, relative to the largest in size. A dropped node has the sum zero."""
    sums = assignment.weight.new_zeros(assignment.nodes).index_add(0, assignment.node, assignment.weight)
    least, greatest = float(sums.detach().min()), float(sums.detach().max())
    size = max(abs(least), abs(greatest))
    return RowSums(least, greatest, size > 0 and greatest - least <= tolerance * size)


def accuracy(make: MakeOperator, settings: ExpressiveSettings, seed: int) -> Accuracy:
    """Train a network with the operator in its middle to tell apart the two classes of `read_wl_pairs`.

    The recipe is Bianchi and Lachi's, on other graphs. Raises ValueError if the loss is never a finite number.
    """
    dataset = read_wl_pairs(None, "wl_pairs", **settings.data)
    y = torch.from_numpy(dataset.y)
    order = stream(seed, "expressive", "split").permutation(len(dataset))
    held_out = int(settings.validation * len(dataset))
    validation, test, train = np.split(order, [held_out, 2 * held_out])
    with seeded(seed, "expressive"):
        pool = make_operator(make, settings.hidden, settings.ratio, dataset.sizes.tolist())
        network = Classifier(dataset.in_features, dataset.classes, pool, settings)
        optimiser = torch.optim.Adam(network.parameters(), settings.learning_rate)
        best, tested, trained = math.inf, math.nan, math.nan
        for epoch in range(settings.epochs):
            network.train()
            shuffled = stream(seed, "expressive", "order", epoch).permutation(train)
            right = 0
            for graphs in _batches(shuffled, settings.batch_size):
                predicted, auxiliary = network(batch_of(dataset, graphs))
                optimiser.zero_grad()
                (cross_entropy(predicted, y[graphs]) + auxiliary).backward()
                optimiser.step()
                right += int((predicted.argmax(dim=1) == y[graphs]).sum())
            trained = right / len(train)
            loss, _ = _evaluate(network, dataset, y, validation, settings.batch_size)
            if loss < best:
                best, (_, tested) = loss, _evaluate(network, dataset, y, test, settings.batch_size)
    if math.isnan(tested):
        raise ValueError("the loss was no number in any epoch; expected a finite one")
    return Accuracy(tested, trained)


class Classifier(nn.Module):
    """Two GIN layers, pool, a GIN layer, the sum over a graph, a perceptron with dropout; ELU throughout."""

    def __init__(self, features: int, classes: int, pool: Operator, settings: ExpressiveSettings) -> None:
        super().__init__()
        hidden = settings.hidden
        self.before = nn.ModuleList([GIN(features, hidden, norm=True), GIN(hidden, hidden, norm=True)])
        self.pool = pool
        self.after = GIN(hidden if pool.out_features is None else pool.out_features, hidden, norm=False)
        dropout = nn.Dropout(settings.dropout)
        self.classify = nn.Sequential(
            *(nn.Linear(hidden, hidden), nn.ELU(), dropout),
            *(nn.Linear(hidden, hidden // 2), nn.ELU(), dropout),
            nn.Linear(hidden // 2, classes),
        )

    def forward(self, graphs: Graphs) -> tuple[Tensor, Tensor]:
        """Returns the scores of the classes, [B, classes], and the operator's losses."""
        x = graphs.x
        for layer in self.before:
            x = layer(x, graphs.edge_index, graphs.weights)
        coarse = self.pool(Graphs(x, graphs.edge_index, graphs.edge_weight, graphs.batch, graphs.count))
        pooled = coarse.graphs
        x = self.after(pooled.x, pooled.edge_index, pooled.weights)
        read_out = x.new_zeros(graphs.count, x.shape[1]).index_add(0, pooled.batch, x)
        return self.classify(read_out), sum(coarse.losses.values(), x.new_zeros(()))


class GIN(nn.Module):
    """ELU(MLP(x_i + Σ_j w_ji x_j)), with two linear layers and no weight of its own for x_i (Xu et al. 2019)."""

    def __init__(self, in_features: int, out_features: int, norm: bool) -> None:
        super().__init__()
        normalise = nn.BatchNorm1d(out_features) if norm else nn.Identity()
        first, second = nn.Linear(in_features, out_features), nn.Linear(out_features, out_features)
        self.mlp = nn.Sequential(first, normalise, nn.ELU(), second, nn.ELU())

    def forward(self, x: Tensor, edge_index: Tensor, weight: Tensor) -> Tensor:
        """x: [N, in_features]. Returns [N, out_features]."""
        return self.mlp(x + sum_over_neighbours(x, edge_index, weight.to(x)))


def batch_of(dataset: GraphDataset, graphs: np.ndarray) -> Graphs:
    """Some graphs of a data set, block-diagonal, with edges of weight 1."""
    first, end = dataset.node_ptr[graphs], dataset.node_ptr[graphs + 1]
    nodes = np.concatenate([np.arange(*span) for span in zip(first, end, strict=True)])
    edges = np.concatenate([np.arange(*span) for span in zip(dataset.in_ptr[first], dataset.in_ptr[end], strict=True)])
    place = np.full(len(dataset.x), -1)
    place[nodes] = np.arange(len(nodes))
    edge_index = torch.from_numpy(place[dataset.edge_index[:, edges]])
    batch = torch.from_numpy(np.repeat(np.arange(len(graphs)), end - first))
    return Graphs(torch.from_numpy(dataset.x[nodes]), edge_index, None, batch, len(graphs))


@torch.no_grad()
def _evaluate(
    network: nn.Module, dataset: GraphDataset, y: Tensor, graphs: np.ndarray, size: int
) -> tuple[float, float]:
    """The mean cross-entropy and the accuracy."""
    network.eval()
    predicted = torch.cat([network(batch_of(dataset, some))[0] for some in _batches(graphs, size)])
    return float(cross_entropy(predicted, y[graphs])), float((predicted.argmax(dim=1) == y[graphs]).double().mean())


def _batches(graphs: np.ndarray, size: int) -> list[np.ndarray]:
    return [graphs[first : first + size] for first in range(0, len(graphs), size)]
