"""Which cells are compared: a local one, and each non-local one that differs from it in nothing but the Select."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rethinking.analysis.cells import StoredCell
from rethinking.analysis.settings import differing
from rethinking.analysis.tidy import Results
from rethinking.configuration.cell import PAPER
from rethinking.configuration.composition import LEARNED
from rethinking.configuration.identity import canonical, identity


@dataclass(frozen=True)
class Choice:
    """What is to be compared. datasets, families: by name; all if empty, but for data sets that are left out.

    reference: the local variant that others are compared with.
    """

    fidelity: str = PAPER
    datasets: Sequence[str] = ()
    families: Sequence[str] = ()
    left_out: Sequence[str] = ()
    reference: str = LEARNED


@dataclass(frozen=True)
class Pair:
    """A local and a non-local cell. settings: what tells them from others like them; empty if there are none."""

    local: StoredCell
    other: StoredCell
    settings: str


def find_pairs(results: Results, choice: Choice) -> tuple[list[Pair], list[str]]:
    """The pairs, by data set and family, and one sentence for each variant that has to be left out."""
    pairs: list[Pair] = []
    said: dict[str, None] = {}
    for cells, text in _groups(results, choice):
        reference = [cell for cell in cells if cell.config["variant"] == choice.reference]
        others = [cell for cell in cells if cell.is_local is False and cell not in reference]
        if reference:
            said |= dict.fromkeys(_unknown(cell) for cell in cells if cell.is_local is None and cell.selects)
        if any(cell.is_local is False for cell in reference):
            said[f"{choice.reference} is not local, so nothing is compared with it; choose another --reference."] = None
        locals_ = [cell for cell in reference if cell.is_local]
        for other, own in zip(others, _own_settings(others), strict=True):
            for local, theirs in zip(locals_, _own_settings(locals_), strict=True):
                if local.schema == other.schema:
                    against = f"against {choice.reference} with {theirs}" if theirs else ""
                    pairs.append(Pair(local, other, ", ".join(filter(None, [text, own, against]))))
                else:
                    said[_two_schemas(local, other)] = None
    return pairs, list(said)


def _groups(results: Results, choice: Choice) -> list[tuple[list[StoredCell], str]]:
    """Cells that differ in the Select only, by variant, each group with the settings that tell it from others."""
    groups: dict[str, list[StoredCell]] = defaultdict(list)
    for cell in results.cells.values():
        wanted = cell.dataset in choice.datasets if choice.datasets else cell.dataset not in choice.left_out
        wanted = wanted and (not choice.families or cell.config["family"] in choice.families)
        if wanted and cell.config["fidelity"] == choice.fidelity:
            groups[json.dumps(_shared(cell), sort_keys=True)].append(cell)
    titles = defaultdict(list)
    for key, cells in groups.items():
        titles[cells[0].title, cells[0].config["family"]].append(key)
    made = []
    for title, keys in titles.items():
        parts = [{part: json.loads(key)[part] for part in ("network", "trainer", "dataset")} for key in keys]
        for key, text in zip(keys, differing(parts), strict=True):
            made.append((title, text, sorted(groups[key], key=lambda cell: cell.config["variant"])))
    return [(cells, text) for _, text, cells in sorted(made, key=lambda group: group[:2])]


def _shared(cell: StoredCell) -> dict[str, Any]:
    """All of a cell's configuration that its variants have in common."""
    whole = identity(cell.config, cell.fingerprint)
    return {key: whole[key] for key in ("family", "network", "trainer", "dataset")}


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


def _two_schemas(local: StoredCell, other: StoredCell) -> str:
    names = f"{other.config['variant']} and {local.config['variant']} of {local.config['family']}"
    return f"{names} on {local.title} are left out while their runs are of different schemas."
