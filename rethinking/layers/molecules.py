"""Molecules, whose atoms and bonds have categorical fields: embeddings, and a convolution that sees bonds (MOLHIV)."""

import math
from itertools import accumulate

import torch
from torch import Tensor, nn

from rethinking.graphs.fields import Fields
from rethinking.graphs.sparse import SparseLevel
from rethinking.layers.initial import InitialDraw, ReplicaLayer
from rethinking.layers.linear import Linear


class Embedding(ReplicaLayer):
    """The sum over fields of an embedding of each field's value, as OGB's `AtomEncoder` and `BondEncoder`.

    fields: how many values each field has.
    """

    def __init__(self, replicas: int, fields: tuple[int, ...], features: int) -> None:
        super().__init__()
        self.fields = fields
        # One table, the fields one below the other.
        self.table = nn.Parameter(torch.empty(replicas, sum(fields), features))

    def reset(self, draw: InitialDraw) -> None:
        """Xavier's uniform draw for each field's table, as OGB's."""
        first = 0
        for number, size in enumerate(self.fields):
            rows = self.table[:, first : first + size]
            draw.uniform(rows, f"table.{number}", math.sqrt(6 / (size + self.table.shape[2])))
            first += size

    def forward(self, x: Tensor, replica: Tensor | None = None) -> Tensor:
        """x: [R, N, fields], whole numbers. Returns [R, N, features].

        replica: int64 [E], whose each row is, where x is [E, fields] instead; then returns [E, features].
        """
        replicas, size, features = self.table.shape
        if replica is None:
            replica = torch.arange(replicas, device=x.device)[:, None]
        # Filled on the device, which a copy would have to wait for.
        ends = accumulate(self.fields, initial=0)
        first = torch.cat([torch.full((1,), end, device=x.device) for _, end in zip(self.fields, ends, strict=False)])
        rows = x.long() + first + size * replica[..., None]
        return self.table.reshape(-1, features)[rows].sum(dim=-2)


class MoleculeConv(ReplicaLayer):
    """Σ_j ReLU(h_j + bond_ij) + ReLU(h_i + root), h = W atoms + b, over the bonds of an atom.

    The sum-aggregating convolution of OGB's examples, by which the released code begins every family on MOLHIV.
    """

    def __init__(self, replicas: int, fields: Fields, features: int) -> None:
        super().__init__()
        self.atoms = Embedding(replicas, fields.node, features)
        self.bonds = Embedding(replicas, fields.edge, features)
        self.linear = Linear(replicas, features, features)
        self.root = nn.Parameter(torch.empty(replicas, 1, features))

    def reset(self, draw: InitialDraw) -> None:
        """root: N(0, 1), as torch's embeddings."""
        draw.normal(self.root, "root")

    def forward(self, x: Tensor, level: SparseLevel, relu: bool = False) -> Tensor:
        """x: [R, N, fields], whole numbers. relu: changes nothing, no sum is below zero. Returns [R, N, features]."""
        h = self.linear(self.atoms(x))
        source, target = level.edge_index
        flat = h.flatten(0, 1)
        bonds = self.bonds(level.edge_fields, (target // x.shape[1]).clamp(max=len(x) - 1))
        messages = torch.relu(flat.index_select(0, source) + bonds)
        # One row more takes what is no edge.
        sums = flat.new_zeros(len(flat) + 1, flat.shape[1]).index_add(0, target, messages)[:-1]
        return sums.view_as(h) + torch.relu(h + self.root)
