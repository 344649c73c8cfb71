"""The one canonical form of a cell's scientific configuration: all that may change its results, and nothing else."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rethinking.configuration.cell import Cell

# What a task says of how its scores are judged.
PRESENTATION = ("margin",)


def identity(cell: Cell | Mapping[str, Any], fingerprint: str | None) -> dict[str, Any]:
    """The canonical form, alike for a Cell and for what is stored of one (`asdict(cell)`), which is data only.

    fingerprint: of the data set's content. Where files lie, in which module of the project a class is found, whether
    clusters are local, and the margin of a comparison are no part of it.
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


def canonical(value: Any, own: bool = True) -> Any:
    """A configuration without `_partial_`, and of the project's classes by their name alone and without nulls.

    So moving a module of the project changes no identity, nor does a new key that is null where it is not asked for.
    Of a class from elsewhere nobody knows that its name is the only one, or that null is its default: it keeps its
    module, and its arguments their nulls. own: whether the arguments are of a class of the project.
    """
    if isinstance(value, Mapping):
        own = is_own(value["_target_"]) if "_target_" in value else own
        return {
            "class" if key == "_target_" else key: _class(entry) if key == "_target_" else canonical(entry, own)
            for key, entry in value.items()
            if key != "_partial_" and (entry is not None or not own)
        }
    return [canonical(entry, own) for entry in value] if isinstance(value, (list, tuple)) else value


def class_name(target: Any) -> str:
    """The name of the class in a Hydra target."""
    return str(target).rpartition(".")[2]


def is_own(target: Any) -> bool:
    """Whether a Hydra target is the project's."""
    return str(target).startswith("rethinking.")


def _class(target: Any) -> str:
    return class_name(target) if is_own(target) else str(target)
