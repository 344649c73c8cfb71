"""Molecules, whose atoms and bonds have categorical fields: embeddings, and a convolution that sees bonds (MOLHIV)."""

import math
from itertools import accumulate

import torch
from torch import Tensor, nn

from rethinking.graphs.fields import Fields
from rethinking.graphs.sparse import SparseLevel
from rethinking.layers.initial import InitialDraw, ReplicaLayer
from rethinking.layers.linear import Linear
from rethinking.layers.lookup import lookup_sum


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

    def rows(self, x: Tensor) -> Tensor:
        """The rows of the table that values stand for. x: […, fields], whole numbers. Returns int64 […, fields]."""
        # Filled on the device, which a copy would have to wait for.
        ends = accumulate(self.fields, initial=0)
        first = torch.cat([torch.full((1,), end, device=x.device) for _, end in zip(self.fields, ends, strict=False)])
        return x.long() + first

    def forward(self, x: Tensor) -> Tensor:
        """x: [R, N, fields], whole numbers. Returns [R, N, features]."""
        nothing = self.table.new_zeros(len(self.table), 1, self.table.shape[2])
        return lookup_sum(self.table, nothing, self.rows(x))


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
        # The product with the table and not with the atoms, which are many more: (Σ table) W = Σ (table W).
        weight, bias = self.linear.parameters()
        h = lookup_sum(self.atoms.table @ weight, bias, self.atoms.rows(x))
        return level.message_sum(h, self.bonds.table, self.root, self.bonds.rows(level.edge_fields))
