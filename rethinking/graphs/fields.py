"""Categorical features of nodes and edges."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fields:
    """Categorical features, as those of molecules: how many values each field of a node and of an edge has."""

    node: tuple[int, ...]
    edge: tuple[int, ...]
