"""Scorecards in words and tables: what was measured of operators, beside no pooling and beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rethinking.own_files import own_file
from rethinking.scorecard.card import COST, EXPRESSIVE, FEATURES, STRUCTURE, Part, part_name

ROUNDING = 1e-12  # Of a value: what differs by less is equal.

# What cannot be had, and what was not measured.
NOTHING, MISSING = "—", "missing"
MILLI, MEBI = 1e-3, 2**20
NODES = "nodes"


@dataclass(frozen=True)
class Card:
    """The parts of an operator by their names. name: as it was asked for. operator: what tables call it."""

    name: str
    operator: str
    parts: Mapping[str, Part]

    def part(self, kind: str, graph: str = "") -> Part:
        """One of them; without values if it was not measured."""
        return self.parts.get(part_name(kind, graph), Part())

    def values(self, kind: str, measure: str, graph: str = "") -> np.ndarray:
        """Of a measure a number a run; none if it was not measured."""
        return np.array(self.part(kind, graph).values.get(measure, []), dtype=float)


@dataclass(frozen=True)
class Measured:
    """What has a scorecard of its own. title: what tables call it. operator: a Hydra target with its arguments."""

    name: str
    title: str
    operator: dict[str, Any]


def of_file(name: str) -> Measured:
    """An operator as its file in `conf/pooler` has it."""
    conf = own_file(f"pooler/{name}")
    return Measured(name, conf["title"], conf["operator"])


@dataclass(frozen=True)
class MeasureTable:
    """One measure of operators on graphs. scale: what its mean over runs is multiplied by. ranked: whether less is
    better. before: the measure of the graphs themselves; empty if these have no row.
    """

    title: str
    measure: str
    scale: float = 1
    ranked: bool = False
    before: str = ""


@dataclass(frozen=True)
class Scored:
    """Some operators' cards. none: that of no pooling. notes: how it was measured, and what is to be known of it."""

    cards: list[Card]
    none: Card
    notes: list[str]


def graphs_of(cards: Sequence[Card], kinds: Sequence[str] = (FEATURES, STRUCTURE)) -> list[str]:
    """The graphs that were asked for, in their order."""
    names = [name.partition("/") for card in cards for name in card.parts]
    return list(dict.fromkeys(graph for kind, _, graph in names if kind in kinds and graph))


def of_operator(card: Card) -> pd.DataFrame:
    """What was measured on graphs: a row a measure, a column a graph."""
    columns = {graph: _on_graph(card, graph) for graph in graphs_of([card])}
    return pd.DataFrame(columns).rename_axis("measure").reset_index()


def sheet(cards: Sequence[Card]) -> pd.DataFrame:
    """The same of several operators, below each other."""
    tables = [of_operator(card) for card in cards]
    for card, table in zip(cards, tables, strict=True):
        table.insert(0, "operator", card.operator)
    return pd.concat(tables, ignore_index=True).fillna(NOTHING)


def long_frame(cards: Sequence[Card]) -> pd.DataFrame:
    """All that was measured, tidy: a row an operator, part, run and measure, with where it came from.

    nodes: of costs, those of the graph; there is one run of each.
    """
    rows: list[dict[str, Any]] = []
    for card in cards:
        for name, part in card.parts.items():
            kind, _, graph = name.partition("/")
            where = {"operator": card.operator, "part": kind, "graph": graph}
            sizes = part.values.get(NODES, []) if kind == COST else []
            rows += [
                {**where, **place, "measure": measure, "value": value, **part.origin}
                for measure, values in part.values.items()
                for place, value in zip(_places(sizes, len(values)), values, strict=True)
                if not (sizes and measure == NODES)
            ]
    columns = ["operator", "part", "graph", "nodes", "run", "measure", "value"]
    return pd.DataFrame(rows, columns=None if rows else columns)


def _places(sizes: Sequence[float], count: int) -> list[dict[str, int | None]]:
    if sizes:
        return [{"nodes": int(size), "run": 0} for size in sizes]
    return [{"nodes": None, "run": run} for run in range(count)]


def of_operators(scored: Scored) -> pd.DataFrame:
    """What was measured of an operator over all graphs, or on others: a row an operator."""
    cards = scored.cards
    expressive = any(EXPRESSIVE in card.parts for card in cards)
    costly = any(COST in card.parts for card in cards)
    rows = []
    for card in cards:
        row = {"operator": card.operator, "sums of rows of S": _row_sums(card)}
        if expressive:
            row["WL pairs told apart"] = _several(card.values(EXPRESSIVE, "test"), 100, "%")
            row["without pooling"] = _several(scored.none.values(EXPRESSIVE, "test"), 100, "%")
        if costly:
            row |= _costs(card)
        rows.append(row)
    return pd.DataFrame(rows)


def measure_table(cards: Sequence[Card], kind: str, asked: MeasureTable, graphs: Sequence[str]) -> pd.DataFrame:
    """One measure of several operators: a row an operator, a column a graph.

    The mean rank is over the graphs of which something was measured of every operator. Of operators that are equal on a
    graph all have the smallest rank; one that cannot have a number there has the greatest, and none at all if it has
    no number on any graph. An operator alone has none.
    """
    rows = []
    if asked.before:
        known = [next((c for c in cards if c.part(kind, graph).values), cards[0]) for graph in graphs]
        texts = [_cell(card, kind, asked.before, graph, runs=1) for card, graph in zip(known, graphs, strict=True)]
        rows.append({"operator": "the graph itself", **dict(zip(graphs, texts, strict=True))})
    for card in cards:
        texts = [_cell(card, kind, asked.measure, graph, asked.scale) for graph in graphs]
        rows.append({"operator": card.operator, **dict(zip(graphs, texts, strict=True))})
    table = pd.DataFrame(rows)
    if asked.ranked and len(cards) > 1:
        table["mean rank"] = _mean_ranks(cards, kind, asked.measure, graphs)
    return table


def _mean_ranks(cards: Sequence[Card], kind: str, measure: str, graphs: Sequence[str]) -> list[str]:
    whole = [graph for graph in graphs if all(part_name(kind, graph) in card.parts for card in cards)]
    if not whole:
        return [NOTHING] * len(cards)
    means = np.array([[_mean(card.values(kind, measure, graph)) for graph in whole] for card in cards])
    ranks = pd.DataFrame(means).rank(method="min", na_option="bottom").mean(axis=1)
    # What has a number on no graph at all has no rank either.
    known = [any(np.isfinite(card.values(kind, measure, graph)).any() for graph in graphs) for card in cards]
    return [f"{rank:.1f}" if has else NOTHING for rank, has in zip(ranks, known, strict=True)]


def _cell(card: Card, kind: str, measure: str, graph: str, scale: float = 1, runs: int | None = None) -> str:
    """runs: of so many, those before others; None for all."""
    if part_name(kind, graph) not in card.parts:
        return MISSING
    return _several(card.values(kind, measure, graph)[:runs], scale)


def problems(cards: Sequence[Card]) -> list[str]:
    """What could not be measured, and why: a sentence for each reason."""
    said: dict[tuple[str, str], list[str]] = {}
    for card in cards:
        for name, part in card.parts.items():
            if part.problem:
                said.setdefault((card.operator, part.problem), []).append(name.replace("/", " on "))
    return [
        f"Not measured of {operator}: {', '.join(names)}, as {problem}." for (operator, problem), names in said.items()
    ]


def claims(
    cards: Sequence[Card], claimed: Sequence[Mapping[str, Any]], graphs: Sequence[str] | None = None
) -> list[str]:
    """Whether what is claimed of operators is what was measured; of claims on operators that are not here nothing.

    graphs: on which; None for all of which there is anything.
    """
    by_name = {card.name: card for card in cards}
    return [_claim(claim, by_name, graphs) for claim in claimed if {*claim["less"], *claim["more"]} <= by_name.keys()]


def _claim(claim: Mapping[str, Any], cards: Mapping[str, Card], graphs: Sequence[str] | None) -> str:
    less, more = ([cards[name] for name in claim[side]] for side in ("less", "more"))
    kind, measure = claim["part"], claim["measure"]
    holds: list[str] = []
    fails: list[str] = []
    unknown: list[str] = []
    for graph in graphs_of([*less, *more], [kind]) if graphs is None else graphs:
        greatest, smallest = (
            [(_mean(card.values(kind, measure, graph)), card.operator) for card in side] for side in (less, more)
        )
        if any(np.isnan(value) for value, _ in [*greatest, *smallest]):
            unknown.append(graph)
            continue
        (low, low_name), (high, high_name) = max(greatest), min(smallest)
        text = f"{graph} ({measure} {low:.3g} of {low_name}, {high:.3g} of {high_name})"
        (holds if low < high else fails).append(text)
    parts = [f"so on {', '.join(holds)}"] if holds else []
    parts += [f"not so on {', '.join(fails)}"] if fails else []
    parts += [f"not known on {', '.join(unknown)}, where numbers are missing"] if unknown else []
    return f"{claim['says']}: {'; '.join(parts)}."


def _on_graph(card: Card, graph: str) -> dict[str, str]:
    def features(measure: str, scale: float = 1, unit: str = "") -> str:
        return _several(card.values(FEATURES, measure, graph), scale, unit)

    def structure(measure: str) -> str:
        return _several(card.values(STRUCTURE, measure, graph))

    return {
        "rebuilt coordinates, MSE × 1000": features("mse", 1000),
        "spectral distance": structure("distance"),
        "density, before → after": _both(structure("density_before"), " → ", structure("density")),
        "median edge weight, before → after": _both(structure("median_before"), " → ", structure("median_weight")),
        "clusters in use, of": _both(features("clusters"), " of ", features("available")),
        "entropy of a node": features("entropy"),
        "edges inside": features("edges_inside", 100, "%"),
        "hops inside, between any": _both(features("hops"), ", ", features("hops_of_all")),
        "nodes lost": features("lost", 100, "%"),
    }


def _both(one: str, between: str, other: str) -> str:
    return NOTHING if one == other == NOTHING else f"{one}{between}{other}"


def _row_sums(card: Card) -> str:
    """Over all graphs and runs, in words."""
    graphs = graphs_of([card], [FEATURES])
    constant, least, greatest = (
        np.concatenate([np.empty(0), *(card.values(FEATURES, name, graph) for graph in graphs)])
        for name in ("constant_sums", "least_sum", "greatest_sum")
    )
    if not len(constant):
        return NOTHING
    if constant.all():
        return f"constant ({greatest.max():.3g})"
    return f"not constant ({least.min():.3g} to {greatest.max():.3g})"


def _costs(card: Card) -> dict[str, str]:
    nodes, seconds, memory = (card.values(COST, name) for name in ("nodes", "seconds", "memory"))
    if not len(nodes):
        return {"a step": NOTHING, "memory of a step": NOTHING}
    return {
        "a step": _growth(nodes, seconds / MILLI, "ms"),
        "memory of a step": _growth(nodes, memory / MEBI, "MiB"),
    }


def _growth(nodes: np.ndarray, values: np.ndarray, unit: str) -> str:
    """The value at the largest size, and the power by which it grows."""
    if not np.isfinite(values[-1]):
        return NOTHING
    text = f"{values[-1]:.3g} {unit} at {nodes[-1]:.0f} nodes"
    power = growth(nodes, values)
    return text if np.isnan(power) else f"{text}, as N^{power:.1f}"


def growth(nodes: np.ndarray, values: np.ndarray) -> float:
    """The power of the number of nodes by which values grow, by least squares of their logarithms.

    NaN with fewer than two values above zero.
    """
    known = np.isfinite(values) & (values > 0)
    if known.sum() < 2:
        return float("nan")
    return float(np.polynomial.polynomial.polyfit(np.log(nodes[known]), np.log(values[known]), 1)[1])


def _several(values: np.ndarray, scale: float = 1, unit: str = "") -> str:
    """The mean over runs, with the standard deviation where there are several."""
    known = values[np.isfinite(values)] * scale
    if not len(known):
        return NOTHING
    # Of equal values rounding may leave some.
    differ = np.ptp(known) > ROUNDING * abs(known).max()
    spread = f" ± {known.std(ddof=1) if differ else 0.0:.2g}" if len(known) > 1 else ""
    return f"{known.mean():.3g}{spread}{unit}"


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
