"""What an operator keeps of node features: how well the coordinates of points can be rebuilt from what is pooled.

Experiment 1 of Grattarola et al. 2022 ("Understanding pooling in graph neural networks"), as the released code has it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rethinking.pooling.operators.interface import Assignment, Clusters, Graphs, Operator
from rethinking.pooling.operators.neighbours import sum_over_neighbours
from rethinking.scorecard.fit import Fit, Resumable, fit, seeded
from rethinking.scorecard.lift import pseudo_inverse_lift
from rethinking.scorecard.making import MakeOperator, make_operator
from rethinking.scorecard.point_clouds import PointCloud
from rethinking.scorecard.settings import AutoencoderSettings


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """mse: the mean squared error of all coordinates. x: [N, d], rebuilt. clusters: by which."""

    mse: float
    x: Tensor
    clusters: Clusters
    fit: Fit


def reconstruct(
    make: MakeOperator, cloud: PointCloud, settings: AutoencoderSettings, seed: int, kept: Resumable | None = None
) -> Reconstruction:
    """Train an autoencoder with the operator in its middle on one graph, and rebuild its coordinates. kept: see `fit`.

    Raises ValueError, with one sentence, if the operator does not say which nodes its clusters are made of.
    """
    x = torch.from_numpy(cloud.coordinates).to(torch.get_default_dtype())
    with seeded(seed, "autoencoder"):
        hidden = settings.hidden
        pool = make_operator(make, 2 * hidden, settings.ratio, [cloud.nodes])
        network = Autoencoder(x.shape[1], hidden, pool)
        graphs = cloud.with_signals(x)

        def losses() -> tuple[Tensor, Tensor]:
            rebuilt, clusters = network(graphs)
            return (rebuilt - x).square().mean(), sum(clusters.losses.values(), x.new_zeros(()))

        trained = fit(network, losses, settings.fit, kept)
        with torch.no_grad():
            rebuilt, clusters = network(graphs)
    return Reconstruction(float((rebuilt - x).square().mean()), rebuilt, clusters, trained)


class Autoencoder(nn.Module):
    """Perceptron, message passing, pool, lift, message passing on the original graph, perceptron.

    Each message passing has its own input beside its output. Weights begin as Keras's do.
    """

    def __init__(self, features: int, hidden: int, pool: Operator) -> None:
        super().__init__()
        width = 2 * hidden if pool.out_features is None else pool.out_features
        self.encode = _perceptron(features, hidden, hidden)
        self.before = MessagePassing(hidden, hidden)
        self.after = MessagePassing(width, hidden)
        self.decode = _perceptron(width + hidden, hidden, features)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        # Last, as an operator begins in its own way.
        self.pool = pool

    def forward(self, graphs: Graphs) -> tuple[Tensor, Clusters]:
        """Returns the rebuilt features, [N, features], and the clusters by which."""
        x = self.encode(graphs.x)
        x = torch.cat([self.before(x, graphs.edge_index), x], dim=1)
        clusters = self.pool.without_edges(Graphs(x, graphs.edge_index, graphs.edge_weight, graphs.batch, graphs.count))
        x = pseudo_inverse_lift(clusters.x, known(clusters))
        x = torch.cat([self.after(x, graphs.edge_index), x], dim=1)
        return self.decode(x), clusters


class MessagePassing(nn.Module):
    """Σ_j ReLU(W x_j + b) over the neighbours j of a node, whatever the weights of edges (Spektral's GeneralConv)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """x: [N, in_features]. Returns [N, out_features]."""
        return sum_over_neighbours(self.linear(x).relu(), edge_index, x.new_ones(edge_index.shape[1]))


def known(clusters: Clusters) -> Assignment:
    """The clusters' nodes. Raises ValueError if the operator does not say them."""
    if clusters.assignment is None:
        raise ValueError("the operator does not say which nodes its clusters are made of; nothing can be lifted")
    return clusters.assignment


def _perceptron(features: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, out))
