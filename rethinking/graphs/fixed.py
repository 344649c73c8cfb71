"""Topologies of fixed size on a device: what a captured step has in place of a `Topology`.

Their arrays are one tensor of whole numbers, so that the next batch comes in one copy, and at the same addresses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import torch
from torch import Tensor

from rethinking.graphs.segments import Segments
from rethinking.graphs.topology import Topology


@dataclass(frozen=True)
class Layout:
    """Where named arrays of whole numbers lie when they are one after another. shapes: of each, by name."""

    shapes: tuple[tuple[str, tuple[int, ...]], ...]

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "Layout":
        """That of some arrays, in their order."""
        return cls(tuple((name, array.shape) for name, array in arrays.items()))

    @cached_property
    def length(self) -> int:
        """All together."""
        return sum(prod(shape) for _, shape in self.shapes)

    def join(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Arrays of these shapes as one, int64 [length]."""
        return np.concatenate([arrays[name].ravel() for name, _ in self.shapes])

    def split(self, flat: Tensor) -> dict[str, Tensor]:
        """The arrays again, as views. flat: int64 [length]."""
        parts = flat.split([prod(shape) for _, shape in self.shapes])
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes, parts, strict=True)}


@dataclass(frozen=True)
class FixedTopology:
    """As `Topology`, with tensors on a device for arrays. Nothing of it is known on the host but how large it is."""

    replicas: int
    width: int
    largest: int
    directed: bool
    start: Tensor
    size: Tensor
    graph: Tensor
    members: tuple[Tensor, Tensor, Tensor, Tensor]
    in_ptr: Tensor
    in_rows: Tensor
    out_ptr: Tensor
    out_rows: Tensor
    edge_fields: Tensor | None

    @property
    def rows(self) -> int:
        """R · N, padding included."""
        return self.replicas * self.width

    @cached_property
    def edge_index(self) -> Tensor:
        """See `Topology`."""
        entries = torch.arange(len(self.in_rows), device=self.in_rows.device)
        return torch.stack([self.in_rows, torch.searchsorted(self.in_ptr[1:], entries, right=True)])


def arrays_of(topology: Topology, name: str) -> dict[str, np.ndarray]:
    """The arrays of a padded topology, all of a size that its room says; their names begin with `name`."""
    top = topology
    arrays = {"start": top.start, "size": top.size, "graph": top.graph, "in_ptr": top.in_ptr, "in_rows": top.in_rows}
    if top.directed:
        arrays |= {"out_ptr": top.out_ptr, "out_rows": top.out_rows}
    if top.edge_fields is not None:
        arrays["edge_fields"] = top.edge_fields
    arrays = {f"{name}.{key}": array for key, array in arrays.items()}
    return arrays | segment_arrays(top.members, (top.rows, top.rows), f"{name}.members")


def segment_arrays(arrays: tuple[np.ndarray, ...], room: tuple[int, int], name: str) -> dict[str, np.ndarray]:
    """Those of `Segments`, as `membership` has them. room: for how many rows, and for how many of their segments."""
    ptr, rows, row_ptr, groups = arrays
    longer = (np.pad(some, (0, most - len(some))) for some, most in zip((rows, groups), room, strict=True))
    return dict(zip((f"{name}.{part}" for part in _PARTS), (ptr, next(longer), row_ptr, next(longer)), strict=True))


def fixed_topology(arrays: Mapping[str, Tensor], name: str, replicas: int, largest: int) -> FixedTopology:
    """From the arrays that `arrays_of` has named, on a device."""
    directed = f"{name}.out_ptr" in arrays
    incoming = arrays[f"{name}.in_ptr"], arrays[f"{name}.in_rows"]
    outgoing = (arrays[f"{name}.out_ptr"], arrays[f"{name}.out_rows"]) if directed else incoming
    ptr, rows, row_ptr, groups = (arrays[f"{name}.members.{part}"] for part in _PARTS)
    return FixedTopology(
        replicas,
        len(arrays[f"{name}.graph"]) // replicas,
        largest,
        directed,
        arrays[f"{name}.start"],
        arrays[f"{name}.size"],
        arrays[f"{name}.graph"],
        (ptr, rows, row_ptr, groups),
        *incoming,
        *outgoing,
        arrays.get(f"{name}.edge_fields"),
    )


def fixed_segments(arrays: Mapping[str, Tensor], name: str) -> Segments:
    """From the arrays that `segment_arrays` has named, on a device."""
    return Segments(*(arrays[f"{name}.{part}"] for part in _PARTS))


_PARTS = ("ptr", "rows", "row_ptr", "segments")
