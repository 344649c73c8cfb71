"""The order of floors: no folder imports from one above it. Imports for type checking only count like all others."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "rethinking"

# From the ground up; docs/design.md shows the same. `base` are the modules that lie in the package itself.
FLOORS = [
    "base", "graphs", "data", "layers", "pooling", "models", "tasks", "training", "scorecard", "configuration",
    "tracking", "runs", "analysis", "commands", "cli",
]  # fmt: skip
TOP = {"cli", "__main__"}


def floor(module: str) -> str:
    """The floor of `rethinking.…`."""
    first = module.split(".")[1] if "." in module else ""
    if first in TOP:
        return "cli"
    return first if (PACKAGE / first).is_dir() and first else "base"


def imported(source: str) -> Iterator[tuple[int, str]]:
    """The lines and names of what a module imports from the package."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: imports are written in full"
            # `from rethinking import paths` means the module, `from rethinking.paths import CONF` too.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".")[0] == "rethinking")


def modules(name: str) -> list[Path]:
    """The files of a floor."""
    if name in ("base", "cli"):
        return sorted(path for path in PACKAGE.glob("*.py") if (path.stem in TOP) == (name == "cli"))
    return sorted((PACKAGE / name).rglob("*.py"))


@pytest.mark.parametrize("name", FLOORS)
def test_nothing_is_imported_from_above(name: str) -> None:
    files = modules(name)
    assert files, f"there is no folder {name}"
    upward = [
        f"{file.relative_to(ROOT)}:{line} imports {what}, which lies on the floor '{floor(what)}'"
        for file in files
        for line, what in imported(file.read_text())
        if FLOORS.index(floor(what)) > FLOORS.index(name)
    ]
    assert not upward, "\n" + "\n".join(upward)


def test_every_folder_with_code_has_a_floor() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/*.py")}
    assert folders == set(FLOORS) - {"base", "cli"}


def test_the_design_shows_the_same_floors() -> None:
    assert " < ".join(FLOORS) in " ".join((ROOT / "docs" / "design.md").read_text().split())


def test_every_form_of_import_is_seen() -> None:
    source = """
import rethinking.runs.store
from rethinking import paths, cli
if TYPE_CHECKING:
    from rethinking.analysis.units import in_unit
def late():
    from rethinking.commands.run import main
import rethinking_of_others
"""
    assert [floor(name) for _, name in imported(source)] == ["runs", "base", "cli", "analysis", "commands"]
