"""Topologies with more room than they need, so that the same shapes come again and a step can be captured.

Padding rows have no edges and are in no graph, as always; entries of the lists of edges beyond the last row's are of
none. So everything that a level offers is the same, and what lies in the padding gets nowhere. All of it is NumPy.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from rethinking.graphs.topology import Topology

# Sizes are rounded up to powers of this number, and a shape is used again where it is at most so much too large.
STEP, WASTE = 1.1, 1.5


@dataclass(frozen=True)
class Room:
    """How large a topology may be: rows of a replica, nodes of a graph, edges in the one and in the other direction."""

    width: int
    largest: int
    incoming: int
    outgoing: int

    @classmethod
    def of(cls, topology: Topology) -> "Room":
        """What a topology takes."""
        return cls(topology.width, topology.largest, len(topology.in_rows), len(topology.out_rows))


class Rooms:
    """The shapes met so far. A topology, or a chain of ever coarser ones, goes into one it fits in, or gets a new one.

    A captured step costs time and memory for every shape, and padding costs time in every step: so a shape is used
    again unless that would be a waste.
    """

    def __init__(self) -> None:
        self._known: dict[int, list[tuple[Room, ...]]] = {}

    def fit(self, graphs: int, chain: tuple[Room, ...]) -> tuple[Room, ...]:
        """The room for a chain of topologies of so many graphs a replica, each at least as large as that asked for."""
        known = self._known.setdefault(graphs, [])
        most = WASTE * _volume(chain, graphs)
        fitting = [room for room in known if _covers(room, chain) and _volume(room, graphs) <= most]
        if not fitting:
            new = tuple(Room(*map(_rounded, _numbers(room))) for room in chain)
            # As large as the others too, where it may be: sizes vary each by itself, and there are many of them.
            for room in known:
                both = tuple(Room(*map(max, *map(_numbers, pair))) for pair in zip(new, room, strict=True))
                new = both if _volume(both, graphs) <= most else new
            fitting = [new]
            known.append(new)
        return min(fitting, key=lambda room: _volume(room, graphs))


def padded(topology: Topology, room: Room) -> Topology:
    """The same graphs in that room. Raises ValueError if it is too small."""
    if not _covers((room,), (Room.of(topology),)):
        raise ValueError(f"expected room for {Room.of(topology)}, got {room}")
    replicas, old, new = topology.replicas, topology.width, room.width
    incoming = repacked(topology.in_ptr, topology.in_rows, replicas, (old, new), (old, new), room.incoming)
    outgoing = incoming
    if topology.directed:
        outgoing = repacked(topology.out_ptr, topology.out_rows, replicas, (old, new), (old, new), room.outgoing)
    fields = topology.edge_fields
    if fields is not None:
        fields = np.pad(fields, ((0, room.incoming - len(fields)), (0, 0)))
    start = moved(topology.start, old, new)
    return replace(
        topology,
        width=new,
        start=start,
        in_ptr=incoming[0],
        in_rows=incoming[1],
        out_ptr=outgoing[0],
        out_rows=outgoing[1],
        edge_fields=fields,
        most=room.largest,
    )


def repacked(
    ptr: np.ndarray,
    rows: np.ndarray,
    replicas: int,
    segments: tuple[int, int],
    width: tuple[int, int],
    entries: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Compressed rows where every replica has more segments and more rows than before, and the list more entries.

    segments, width: of a replica, before and after. Returns ptr, int64 [R·segments+1], and rows, int64 [entries].
    """
    ends = np.pad(ptr[1:].reshape(replicas, segments[0]), ((0, 0), (0, segments[1] - segments[0])), mode="edge")
    return np.concatenate([ptr[:1], ends.ravel()]), np.pad(moved(rows, *width), (0, entries - len(rows)))


def moved(rows: np.ndarray, old: int, new: int) -> np.ndarray:
    """The numbers of rows when each replica has `new` of them in place of `old`."""
    return rows + rows // old * (new - old)


def _covers(room: tuple[Room, ...], chain: tuple[Room, ...]) -> bool:
    return len(room) == len(chain) and all(
        most >= needed
        for large, small in zip(room, chain, strict=True)
        for most, needed in zip(_numbers(large), _numbers(small), strict=True)
    )


def _volume(chain: tuple[Room, ...], graphs: int) -> int:
    """What a step costs, roughly: rows and edges one by one, and what is laid out by graph."""
    return sum(room.width + graphs * room.largest + room.incoming for room in chain)


def _numbers(room: Room) -> tuple[int, int, int, int]:
    return room.width, room.largest, room.incoming, room.outgoing


def _rounded(number: int) -> int:
    return math.ceil(STEP ** math.ceil(math.log(max(number, 1), STEP)))
