"""A floor that sees no structure: a perceptron on the sum of a graph's node features (as in Errica et al. 2020)."""

import torch
from torch import Tensor, nn

from rethinking.graphs.levels import SparseLevel
from rethinking.layers.linear import Linear
from rethinking.layers.molecules import Embedding
from rethinking.models.family import Output, at_least_one
from rethinking.models.inputs import DataShape


class SummedFeaturesMLP(nn.Module):
    """sum over nodes → (Linear → ReLU) × L → Linear. Atoms are embedded before the sum; edges are not seen.

    select: unused, there is nothing to select.
    """

    def __init__(self, replicas: int, shape: DataShape, select: object, layers: int, hidden: int) -> None:
        super().__init__()
        at_least_one(layers=layers, hidden=hidden)
        self.atoms = Embedding(replicas, shape.fields.node, hidden) if shape.fields else None
        width = hidden if shape.fields else shape.in_features
        self.linears = nn.ModuleList(Linear(replicas, w, hidden) for w in [width] + [hidden] * (layers - 1))
        self.out = Linear(replicas, hidden, shape.out_features)

    def forward(self, x: Tensor, level: SparseLevel) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out]; there are no auxiliary losses."""
        if self.atoms is not None:
            x = self.atoms(x)
        x = level.graph_sum(x)
        for linear in self.linears:
            x = torch.relu_(linear(x))
        return self.out(x), {}
