"""The one canonical form of a cell's scientific configuration: all that may change its results, and nothing else."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rethinking.configuration.cell import Cell

# What a task says of how its scores are judged.
PRESENTATION = ("margin",)


def identity(cell: Cell | Mapping[str, Any], fingerprint: str | None) -> dict[str, Any]:
    """The canonical form, alike for a Cell and for what is stored of one (`asdict(cell)`), which is data only.

    fingerprint: of the data set's content. Where files lie, in which module a class is found, whether clusters are
    local, and the margin of a comparison are no part of it.
    """
    stored = asdict(cell) if isinstance(cell, Cell) else cell
    dataset = stored["dataset"]
    return canonical(
        {
            **{key: stored[key] for key in ("family", "variant", "fidelity", "network", "select", "trainer")},
            "dataset": {
                "name": dataset["name"],
                "fingerprint": fingerprint,
                "split": {key: value for key, value in dataset["split"].items() if key != "file"},
                "task": {key: value for key, value in dataset["task"].items() if key not in PRESENTATION},
            },
        }
    )


def canonical(value: Any) -> Any:
    """A configuration with Hydra targets by the name of the class alone, without `_partial_` and without nulls.

    So moving a module changes no identity, nor does a new key that is null where it is not asked for.
    """
    if isinstance(value, Mapping):
        return {
            "class" if key == "_target_" else key: class_name(entry) if key == "_target_" else canonical(entry)
            for key, entry in value.items()
            if entry is not None and key != "_partial_"
        }
    return [canonical(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def class_name(target: Any) -> str:
    """The name of the class in a Hydra target."""
    return str(target).rpartition(".")[2]
