"""A level of coarsening: sparse graphs first; after a pooling layer sparse ones again, or small dense ones.

Node features are `[R, N, F]` on all; N is the width of the topology on a sparse level, and B·k on a dense one. What a
level does not have at once (degrees, hop distances, the complement) it makes when it is first asked for.

A_ij is the weight of the edge from i to j, as PyG's `to_dense_adj` has it, so A X sums over those a node points to.
"""

from rethinking.graphs.dense import DenseLevel, SetLevel
from rethinking.graphs.listed import ListedLevel
from rethinking.graphs.sparse import SparseLevel

# Graphs with edges, and sets of nodes that may have none, or edges that an operator of elsewhere has made.
Level = SparseLevel | DenseLevel
NodeSets = Level | SetLevel | ListedLevel
