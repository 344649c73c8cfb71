"""Clusters drawn before a step: those that depend on the graphs alone, as matchings, are none of the device's business.

They are drawn on the host, level after level, given room as `rethinking/graphs/padded.py` says, and laid out on the
device; there a pooling layer finds them with its level.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.graphs.fixed import arrays_of, fixed_segments, fixed_topology, segment_arrays
from rethinking.graphs.padded import Room, padded, repacked
from rethinking.graphs.segments import Segments
from rethinking.graphs.sparse import SparseLevel
from rethinking.graphs.topology import Topology
from rethinking.pooling.connect import AnyEdgeConnect
from rethinking.pooling.pool import Pool
from rethinking.pooling.selection import HardSelection


class DrawnSelection(HardSelection):
    """Hard clusters on the device, of which nothing is known on the host: only what a Reduce and a Lift need."""

    def __init__(self, segments: Segments, level: SparseLevel) -> None:
        self.segments = segments
        self.level = level
        self.weight = None
        self.width = None


@dataclass(frozen=True)
class Chain:
    """The graphs of a batch and what they are coarsened to, one pooling layer after another.

    topologies: of every level. members: of the clusters between one level and the next; see `HardSelection`.
    """

    topologies: tuple[Topology, ...]
    members: tuple[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], ...]

    @property
    def room(self) -> tuple[Room, ...]:
        """What it takes."""
        return tuple(map(Room.of, self.topologies))

    def arrays(self, room: Sequence[Room]) -> dict[str, np.ndarray]:
        """All as arrays in that room, by name; their sizes depend on it only."""
        wide = [padded(topology, own) for topology, own in zip(self.topologies, room, strict=True)]
        arrays = {name: array for i, top in enumerate(wide) for name, array in arrays_of(top, f"level{i}").items()}
        replicas = self.topologies[0].replicas
        for i, (ptr, nodes, row_ptr, clusters) in enumerate(self.members):
            fine, coarse = (
                (old.width, new.width) for old, new in zip(self.topologies[i : i + 2], wide[i : i + 2], strict=True)
            )
            there = repacked(ptr, nodes, replicas, coarse, fine, wide[i].rows)
            back = repacked(row_ptr, clusters, replicas, fine, coarse, wide[i].rows)
            arrays |= segment_arrays((*there, *back), (wide[i].rows, wide[i].rows), f"clusters{i}")
        return arrays


def drawn_pools(network: nn.Module) -> list[Pool]:
    """The pooling layers whose clusters can be drawn before a step, each on the level that the one before makes."""
    pools = [module for module in network.modules() if isinstance(module, Pool)]
    return [pool for pool in pools if isinstance(pool.connect, AnyEdgeConnect) and not pool.select.sees_features]


def draw(pools: Sequence[Pool], level: SparseLevel) -> Chain:
    """The clusters that these pooling layers would make of a batch. Raises ValueError for nodes that have weights."""
    topologies, members = [level.topology], []
    for pool in pools:
        none = torch.empty(level.replicas, level.topology.width, 0)
        selection, coarser = (cast(HardSelection, part) for part in pool.clusters(none, level))
        if selection.weight is not None:
            raise ValueError("clusters whose nodes have weights are not drawn before a step")
        level = cast(SparseLevel, coarser)
        topologies.append(level.topology)
        members.append(selection.members_of)
    return Chain(tuple(topologies), tuple(members))


def level_of(
    pools: Sequence[Pool], arrays: Mapping[str, Tensor], replicas: int, room: Sequence[Room], device: torch.device
) -> SparseLevel:
    """The first level of a chain of `Chain.arrays` on a device; each pooling layer finds its clusters in its level."""
    tops = [fixed_topology(arrays, f"level{i}", replicas, own.largest) for i, own in enumerate(room)]
    levels = [SparseLevel(cast(Topology, top), device, depth=i) for i, top in enumerate(tops)]
    for i, pool in enumerate(pools):
        selection = DrawnSelection(fixed_segments(arrays, f"clusters{i}"), levels[i])
        levels[i].drawn[pool] = selection, levels[i + 1]
    return levels[0]
