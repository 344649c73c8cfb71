"""What the measurements of an operator come to, as plain numbers: these are kept, and drawn."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The kinds of measurements, of a graph each or of none; a part is called KIND/GRAPH or KIND.
FEATURES, STRUCTURE, EXPRESSIVE, COST = "features", "structure", "expressive", "cost"

Fact = str | float | bool | None


@dataclass(frozen=True)
class Drawn:
    """A graph to draw. points: [N][d], d at least 2. edges: (node, node, weight), each pair once, the heaviest.

    all_edges: how many pairs there are. spectrum: eigenvalues, or quantiles of them, ascending; may be empty.
    """

    points: list[list[float]]
    edges: list[tuple[int, int, float]] = field(default_factory=list)
    all_edges: int = 0
    spectrum: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """One measurement. values: of each measure a number a run; of costs, a number a size.

    drawn: graphs of the first run by their roles. problem: why it cannot be had, in one sentence, and then all else is
    empty. origin: of the program, the machine and the time, by which it was measured.
    """

    values: dict[str, list[float]] = field(default_factory=dict)
    drawn: dict[str, Drawn] = field(default_factory=dict)
    problem: str = ""
    origin: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def runs(self) -> int:
        """How many numbers there are of each measure."""
        return max(map(len, self.values.values()), default=0)


def part_name(kind: str, graph: str = "") -> str:
    """KIND/GRAPH, or KIND where it is not of a graph."""
    return f"{kind}/{graph}" if graph else kind


def kind_of(name: str) -> str:
    """KIND of the name of a part."""
    return name.partition("/")[0]


def as_data(part: Part) -> dict[str, Any]:
    """A part as JSON has it, where a number that is none is null."""
    drawn = {
        role: {"points": one.points, "edges": one.edges, "all_edges": one.all_edges, "spectrum": one.spectrum}
        for role, one in part.drawn.items()
    }
    numbers = {
        name: [value if math.isfinite(value) else None for value in values] for name, values in part.values.items()
    }
    return {"values": numbers, "drawn": drawn, "origin": dict(part.origin)}


def from_data(data: Any) -> Part:
    """The part that was written. Raises ValueError, with one sentence, for anything that is none."""
    if not isinstance(data, Mapping) or set(data) != {"values", "drawn", "origin"}:
        raise ValueError("a part has not the keys values, drawn and origin")
    values = {str(name): [_number(value, or_null=True) for value in _list(of)] for name, of in _items(data["values"])}
    origin = {str(key): _fact(value) for key, value in _items(data["origin"])}
    return Part(values, {str(role): _drawn(one) for role, one in _items(data["drawn"])}, origin=origin)


def _drawn(data: Any) -> Drawn:
    if not isinstance(data, Mapping) or set(data) != {"points", "edges", "all_edges", "spectrum"}:
        raise ValueError("a drawing has not the keys points, edges, all_edges and spectrum")
    points = [[_number(value) for value in _list(point)] for point in _list(data["points"])]
    if len({len(point) for point in points}) > 1 or any(len(point) < 2 for point in points):
        raise ValueError("points of a drawing have not two or more coordinates each")
    edges = [(_node(one, points), _node(other, points), _number(weight)) for one, other, weight in _edges(data)]
    return Drawn(points, edges, int(_number(data["all_edges"])), [_number(value) for value in _list(data["spectrum"])])


def _edges(data: Mapping[str, Any]) -> list[list[Any]]:
    edges = [_list(edge) for edge in _list(data["edges"])]
    if any(len(edge) != 3 for edge in edges):
        raise ValueError("edges of a drawing have not two nodes and a weight each")
    return edges


def _node(value: Any, points: list[list[float]]) -> int:
    if type(value) is not int or not 0 <= value < len(points):
        raise ValueError(f"an edge of a drawing names the node {str(value)[:20]}, of {len(points)}")
    return value


def _number(value: Any, or_null: bool = False) -> float:
    if value is None and or_null:
        return math.nan
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"{str(value)[:20]} stands where a number was expected")
    return float(value)


def _fact(value: Any) -> Fact:
    return value if value is None or isinstance(value, (str, bool)) else _number(value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{str(value)[:20]} stands where a list was expected")
    return value


def _items(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{str(value)[:20]} stands where names with values were expected")
    return list(value.items())
