"""Which cells are compared: a local one, and each non-local one that differs from it in nothing but the Select.

Of the arguments of the two Selects those that both have must agree, such as the number of heads.

Or one that pools with one that does not; or two that somebody names (`named.py`).
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rethinking.analysis.cells import StoredCell
from rethinking.analysis.questions import NO_POOLING, Question
from rethinking.analysis.settings import differing
from rethinking.analysis.tidy import Results
from rethinking.configuration.composition import LEARNED
from rethinking.configuration.identity import canonical, class_name, identity

LOCAL = ("local", "non-local")
POOLING = ("pooling", "no pooling")


@dataclass(frozen=True)
class Pair:
    """Two cells that are compared: `other` minus `local`.

    family, variant, reference: what a row calls them. settings: what tells them from others of these names; empty if
    there are none. sides: what verdicts call `local` and `other`.
    """

    local: StoredCell
    other: StoredCell
    family: str
    variant: str
    reference: str
    settings: str
    sides: tuple[str, str]


@dataclass(frozen=True)
class Unpaired:
    """A sentence on a cell that has to be left out. schemas: as the runs of what it is compared with are of another."""

    cell: StoredCell
    text: str
    schemas: bool = False


def find_pairs(results: Results, asked: Question) -> tuple[list[Pair], list[Unpaired]]:
    """All pairs that the runs allow, by data set and family, of whatever fidelity; and what has to be left out."""
    groups = _groups(results, asked)
    if asked.reference == NO_POOLING:
        return _with_no_pooling(results, groups, asked)
    pairs: list[Pair] = []
    said: list[Unpaired] = []
    for cells, text in groups:
        reference = [cell for cell in cells if cell.config["variant"] == asked.reference]
        others = [cell for cell in cells if cell.is_local is False and cell not in reference]
        if reference:
            said += [Unpaired(c, _unknown(c)) for c in cells if c.is_local is None and c.selects]
        said += [Unpaired(cell, _not_local(asked.reference)) for cell in reference if cell.is_local is False]
        locals_ = [cell for cell in reference if cell.is_local]
        for other, own in zip(others, _own_settings(others), strict=True):
            if locals_ and not any(same_arguments(cell.config["select"], other.config["select"]) for cell in locals_):
                said.append(Unpaired(other, _alone(other, own, asked.reference)))
            for local, theirs in zip(locals_, _own_settings(locals_), strict=True):
                if not same_arguments(local.config["select"], other.config["select"]):
                    continue
                if local.schema == other.schema:
                    against = f"against {asked.reference} with {theirs}" if theirs else ""
                    settings = ", ".join(filter(None, [text, own, against]))
                    names = other.config["family"], other.config["variant"], asked.reference
                    pairs.append(Pair(local, other, *names, settings, LOCAL))
                else:
                    said.append(Unpaired(other, two_schemas(local, other), schemas=True))
    return pairs, said


def same_arguments(local: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two Selects, as configured, agree in all arguments that both have.

    Also where one has the other inside it, as the Select on complement graphs has that of the family.
    """
    one, two = canonical(local), canonical(other)
    inside = [value for value in two.values() if isinstance(value, Mapping) and value.get("class") == one.get("class")]
    shared = (one.keys() & two.keys()) - {"class"}
    return all(one[key] == two[key] for key in shared) and all(value == one for value in inside)


def two_schemas(local: StoredCell, other: StoredCell) -> str:
    """Why two cells cannot be compared yet."""
    mine, theirs = other.config, local.config
    of = f" of {mine['family']}" if mine["family"] == theirs["family"] else ""
    first, second = (c["variant"] if of else f"{c['family']} {c['variant']}" for c in (mine, theirs))
    return f"{first} and {second}{of} on {local.title} are left out while their runs are of different schemas."


def _with_no_pooling(
    results: Results, groups: list[tuple[list[StoredCell], str]], asked: Question
) -> tuple[list[Pair], list[Unpaired]]:
    """Each cell that pools, and the cells of each model without pooling on the same content of its data set."""
    pairs: list[Pair] = []
    said: list[Unpaired] = []
    for cells, text in groups:
        pooling = [cell for cell in cells if cell.selects]
        for cell, own in zip(pooling, _own_settings(pooling), strict=True):
            without = [c for c in results.cells.values() if c.config["family"] in asked.without_pooling]
            for other in (c for c in without if not c.selects and same_graphs(c, cell)):
                if other.schema == cell.schema:
                    names = cell.config["family"], cell.config["variant"], other.config["family"]
                    pairs.append(Pair(cell, other, *names, ", ".join(filter(None, [text, own])), POOLING))
                else:
                    said.append(Unpaired(cell, two_schemas(cell, other), schemas=True))
    return sorted(pairs, key=lambda pair: asked.without_pooling.index(pair.reference)), said


def same_graphs(one: StoredCell, other: StoredCell) -> bool:
    """Whether two cells learn the same from the same graphs, split the same, in runs of one fidelity."""
    configs = [identity(cell.config, cell.fingerprint)["dataset"] for cell in (one, other)]
    return configs[0] == configs[1] and one.config["fidelity"] == other.config["fidelity"]


def in_host(network: Mapping[str, Any], asked: Question) -> bool:
    """Whether a cell's network is one around any pooling operator, which has comparisons of its own (`checks.py`)."""
    return class_name(network.get("_target_")) in asked.hosts


def without_hosts(results: Results, asked: Question) -> Results:
    """All but the cells of such networks."""
    cells = {id: cell for id, cell in results.cells.items() if not in_host(cell.config["network"], asked)}
    return replace(results, cells=cells, runs=results.runs[results.runs["cell_id"].isin(list(cells))])


def _groups(results: Results, asked: Question) -> list[tuple[list[StoredCell], str]]:
    """Cells that differ in the Select only, by variant, each group with the settings that tell it from others."""
    groups: dict[str, list[StoredCell]] = defaultdict(list)
    for cell in results.cells.values():
        if not in_host(cell.config["network"], asked):
            groups[json.dumps(_shared(cell), sort_keys=True)].append(cell)
    titles = defaultdict(list)
    for key, cells in groups.items():
        titles[cells[0].title, cells[0].config["family"], cells[0].config["fidelity"]].append(key)
    made = []
    for title, keys in titles.items():
        parts = [{part: json.loads(key)[part] for part in ("network", "trainer", "dataset")} for key in keys]
        for key, text in zip(keys, differing(parts), strict=True):
            made.append((title, text, sorted(groups[key], key=lambda cell: cell.config["variant"])))
    return [(cells, text) for _, text, cells in sorted(made, key=lambda group: group[:2])]


def _shared(cell: StoredCell) -> dict[str, Any]:
    """All of a cell's configuration that its variants have in common."""
    whole = identity(cell.config, cell.fingerprint)
    shared = {key: whole[key] for key in ("family", "network", "trainer", "dataset")}
    return shared | {"fidelity": cell.config["fidelity"]}


def _own_settings(cells: Sequence[StoredCell]) -> list[str]:
    """What tells each cell from others of the same variant, which may be there with other arguments."""
    variants = [cell.config["variant"] for cell in cells]
    texts = {
        name: differing([canonical(cell.config["select"]) for cell in cells if cell.config["variant"] == name])
        for name in set(variants)
    }
    return [texts[variant].pop(0) for variant in variants]


def _unknown(cell: StoredCell) -> str:
    variant, family = cell.config["variant"], cell.config["family"]
    file = f"model={family}" if variant == LEARNED else f"pooling={variant}"
    return (
        f"{family} with {variant} is left out: nobody says whether its clusters are local; write `is_local: true` or "
        f"`is_local: false` in the file of {file}, or as an attribute of its class, and train it into a folder of its "
        "own (runs=DIR); finished runs keep what was said of them."
    )


def _alone(cell: StoredCell, settings: str, reference: str) -> str:
    name = " ".join(filter(None, [cell.config["family"], cell.config["variant"], settings and f"with {settings}"]))
    return f"{name} on {cell.title} is left out: no {reference} with the same arguments has been trained."


def _not_local(reference: str) -> str:
    return f"{reference} is not local, so nothing is compared with it; choose another compare.reference."
