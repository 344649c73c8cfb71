"""GMN, the graph memory network: soft clusters around keys (Khasahmadi et al. 2020; the paper, Section 2.4)."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rethinking.graphs.levels import NodeSets, SetLevel, SparseLevel
from rethinking.graphs.topology import Topology
from rethinking.layers.convolutions import GraphConv, Probe
from rethinking.layers.linear import Linear
from rethinking.layers.norm import BatchNorm
from rethinking.models.alternating import Alternating
from rethinking.models.family import Output
from rethinking.models.inputs import DataShape, first_conv
from rethinking.pooling import dense
from rethinking.pooling.assignment import MakeAssignment


class GMN(Alternating):
    """(conv → ReLU) × c → batch norm → memory layers → mean → Linear(m, mlp) → LeakyReLU → Linear(mlp, out).

    A memory layer: V = Cᵀ Q, then LeakyReLU(Linear(V)); C is the Select's, `keys` says how many clusters each layer
    has. Between memory layers there are no edges. Every `period`-th epoch is one step on the Kullback–Leibler loss
    that teaches the keys, where the Select has any (`has_loss`); all other epochs train everything else.
    keys_learn: false for the released code, where the keys stay and that step trains the rest.
    """

    def __init__(
        self,
        replicas: int,
        shape: DataShape,
        select: MakeAssignment,
        keys: Sequence[int],
        hidden: int,
        memory_hidden: int,
        mlp_hidden: int,
        convs_before_pool: int,
        kl_period: int,
        kl_weight: float,
        keys_learn: bool,
        norm_counts_padding: bool,
    ) -> None:
        super().__init__()
        if min([*keys, hidden, memory_hidden, mlp_hidden, convs_before_pool, kl_period, len(keys)]) < 1:
            raise ValueError(
                f"keys={keys}, hidden={hidden}, memory_hidden={memory_hidden}, mlp_hidden={mlp_hidden}, "
                f"convs_before_pool={convs_before_pool}, kl_period={kl_period}; expected at least 1 each"
            )
        self.kl_weight = kl_weight
        self.first = first_conv(replicas, shape, hidden, GraphConv)
        self.convs = nn.ModuleList(GraphConv(replicas, hidden, hidden) for _ in range(convs_before_pool - 1))
        self.norm = BatchNorm(replicas, hidden, norm_counts_padding)
        self.linears = nn.ModuleList()
        selects = []
        width, nodes = hidden, shape.max_nodes
        for clusters in keys:
            selects.append(select(replicas=replicas, in_features=width, max_nodes=nodes, clusters=clusters))
            self.linears.append(Linear(replicas, width, memory_hidden))
            width, nodes = memory_hidden, clusters
        self.selects = nn.ModuleList(selects)
        self.before, self.after = Probe(), Probe()
        self.head = Linear(replicas, memory_hidden, mlp_hidden)
        self.out = Linear(replicas, mlp_hidden, shape.out_features)
        self.own_parameters = [parameter for select in selects for parameter in select.taught]
        self.trains_own = keys_learn
        learns = any(select.has_loss for select in selects) and (self.own_parameters or not keys_learn)
        self.period = kl_period if learns else 0

    def prepare(self, topology: Topology, keys: np.ndarray) -> Topology:
        """Nothing is drawn."""
        return topology

    def forward(self, x: Tensor, topology: Topology) -> Output:
        """x: [R, N, in]. Returns the predictions [R, B, out]; the loss is that of `unsupervised`."""
        return self._predict(x, topology)[0], {}

    def unsupervised(self, x: Tensor, topology: Topology) -> Output:
        """The predictions [R, B, out] and the loss `kl` of a batch, divided by its number of nodes."""
        prediction, assignments = self._predict(x, topology)
        kl = sum(dense.kl_loss(assignment, level) for assignment, level in assignments)
        nodes = assignments[0][1].sizes.sum(dim=1)
        return prediction, {"kl": self.kl_weight * kl / nodes}

    def _predict(self, x: Tensor, topology: Topology) -> tuple[Tensor, list[tuple[Tensor, NodeSets]]]:
        """The predictions, and the assignment of every memory layer with what it assigns."""
        x = torch.relu_(self.first(x, topology))
        for conv in self.convs:
            x = torch.relu_(conv(x, topology))
        level: NodeSets = SparseLevel(topology, x.device)
        x = self.norm(x, level)
        assignments = []
        for select, linear in zip(self.selects, self.linears, strict=True):
            assignment = select(self.before(x, level), level)
            assignments.append((assignment, level))
            x = F.leaky_relu(linear(dense.reduce(x, assignment, level)))
            level = SetLevel(len(x), level.graphs, assignment.shape[-1], x.device)
            x = self.after(x, level)
        x = level.per_graph(x).mean(dim=2)
        return self.out(F.leaky_relu(self.head(x))), assignments
