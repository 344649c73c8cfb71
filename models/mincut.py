"""MinCutPool: soft clusters by a linear layer, kept apart by two losses (Bianchi et al. 2020; the paper, Table S5)."""

import math
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.graphs.levels import DenseLevel, Level, SparseLevel
from rethinking.graphs.topology import Topology
from rethinking.layers.convolutions import DenseGraphConv, GraphConv, Probe
from rethinking.layers.linear import Linear
from rethinking.models.family import Output
from rethinking.models.inputs import DataShape, first_conv
from rethinking.pooling import dense
from rethinking.pooling.assignment import Assignment, MakeAssignment


class MinCutPool(nn.Module):
    """(conv → ReLU → pool) × (L−1) → conv → mean over nodes → Linear(h, h) → ReLU → Linear(h, out).

    Pooling layer l has ceil(ratio · nodes of the largest graph) clusters, then ratio of that again, and so on.
    Reduce: SᵀX. Connect: SᵀAS without its diagonal, symmetrically normalised. The losses apply to a Select
    that learns (`has_loss`) only.
    """

    def __init__(
        self,
        replicas: int,
        shape: DataShape,
        select: MakeAssignment,
        layers: int,
        hidden: int,
        ratio: float,
        mincut_weight: float,
        orthogonality_weight: float,
    ) -> None:
        super().__init__()
        if layers < 1 or hidden < 1 or not 0 < ratio <= 1:
            raise ValueError(
                f"layers={layers}, hidden={hidden}, ratio={ratio}; expected at least 1 each, and a ratio in (0, 1]"
            )
        self.mincut_weight = mincut_weight
        self.orthogonality_weight = orthogonality_weight
        self.first = first_conv(replicas, shape, hidden, GraphConv)
        self.convs = nn.ModuleList(DenseGraphConv(replicas, hidden, hidden) for _ in range(layers - 1))
        self.selects = nn.ModuleList()
        nodes = shape.max_nodes
        for _ in range(layers - 1):
            clusters = math.ceil(ratio * nodes)
            self.selects.append(select(replicas=replicas, in_features=hidden, max_nodes=nodes, clusters=clusters))
            nodes = clusters
        self.before, self.after = Probe(), Probe()
        self.head = Linear(replicas, hidden, hidden)
        self.out = Linear(replicas, hidden, shape.out_features)

    def prepare(self, topology: Topology, keys: np.ndarray) -> Topology:
        """Nothing is drawn."""
        return topology

    def forward(self, x: Tensor, topology: Topology) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out] and the losses `mincut` and `orthogonality`."""
        level: Level = SparseLevel(topology, x.device)
        losses: dict[str, Tensor] = {}
        x = self.first(x, topology)
        for conv, module in zip(self.convs, self.selects, strict=True):
            select = cast(Assignment, module)
            x = self.before(torch.relu_(x), level)
            assignment = select(x, level)
            adjacency = dense.connect(assignment, level)
            if select.has_loss:
                view = select.view(level)
                cut = adjacency if view is level else dense.connect(assignment, view)
                mincut = self.mincut_weight * dense.mincut_loss(assignment, cut, view)
                apart = self.orthogonality_weight * dense.orthogonality_loss(assignment, level)
                losses["mincut"] = losses.get("mincut", 0) + mincut
                losses["orthogonality"] = losses.get("orthogonality", 0) + apart
            x = dense.reduce(x, assignment, level)
            level = DenseLevel(dense.normalise(adjacency))
            x = conv(self.after(x, level), level)
        x = level.per_graph(x).sum(dim=2) / level.sizes[..., None]
        return self.out(torch.relu_(self.head(x))), losses
