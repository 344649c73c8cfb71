"""The families as one would write them with PyG alone: an oracle for the tests, a peer for the benchmark.

One seed, a `DataLoader`, dense or sparse convolutions of PyG, its pooling operators; a file a family. They have each
family's own, learned Select, at least two convolutions before the first pooling (DiffPool: or one), and no molecules.
"""

from typing import Any

from hydra.utils import instantiate

from rethinking.configuration.cell import Cell
from rethinking.models.inputs import DataShape
from tests.peers.data import to_pyg, topology_of
from tests.peers.diffpool import PyGDiffPool
from tests.peers.diffpool_v2 import PyGDiffPoolV2
from tests.peers.gin import PyGGIN
from tests.peers.global_mean import PyGGlobalMean
from tests.peers.gmn import PyGGMN
from tests.peers.graclus import PyGGraclus
from tests.peers.graphsage import PyGGraphSAGE
from tests.peers.mincut import PyGMinCut
from tests.peers.mlp import PyGSummedFeaturesMLP
from tests.peers.peer import Peer
from tests.peers.train import train_epochs

__all__ = ["BASELINES", "FAMILIES", "Peer", "PyGGraclus", "make_peer", "to_pyg", "topology_of", "train_epochs"]

# Those that have a peer, by their names in `conf/model`; that of a baseline is an oracle only, and not timed.
FAMILIES = ("graclus", "global_mean", "diffpool", "diffpool_v2", "gmn", "mincut")
BASELINES = ("gin", "graphsage", "mlp")


def make_peer(cell: Cell, shape: DataShape) -> Peer:
    """The peer of a cell, with initial weights of its own. Raises ValueError for a family that has none."""

    def given(*names: str) -> dict[str, Any]:
        return {name: cell.network[name] for name in names}

    width = (shape.in_features, shape.out_features)
    diffpool = ("pools", "hidden", "mlp_hidden", "ratio", "link_weight", "entropy_weight")
    match cell.family:
        case "graclus":
            return PyGGraclus(*width, instantiate(cell.select)(), **given("layers", "hidden"))
        case "global_mean":
            return PyGGlobalMean(*width, **given("layers", "hidden"))
        case "gin":
            return PyGGIN(*width, **given("layers", "hidden"))
        case "graphsage":
            return PyGGraphSAGE(*width, **given("layers", "hidden"))
        case "mlp":
            return PyGSummedFeaturesMLP(*width, **given("layers", "hidden"))
        case "diffpool":
            sum_initially = cell.network["initial"]["_target_"].endswith(".DenseGraphConv")
            separate = cell.network["conv"] is not None
            given_too = given(*diffpool, "convs_before_pool")
            return PyGDiffPool(*width, shape.max_nodes, sum_initially, separate, **given_too)
        case "diffpool_v2":
            return PyGDiffPoolV2(*width, shape.max_nodes, **given(*diffpool, "sum_first"))
        case "gmn":
            memory = given("keys", "hidden", "memory_hidden", "mlp_hidden", "kl_weight")
            return PyGGMN(*width, heads=cell.select["heads"], **memory)
        case "mincut":
            pooling = given("layers", "hidden", "ratio", "mincut_weight", "orthogonality_weight")
            return PyGMinCut(*width, shape.max_nodes, **pooling)
    raise ValueError(f"family={cell.family}; expected one of {', '.join(FAMILIES + BASELINES)}")
