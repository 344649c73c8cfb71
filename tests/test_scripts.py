"""The scripts behind `make` can be imported: what they take from the package is there."""

from importlib import import_module
from pkgutil import walk_packages

import pytest

import scripts

MODULES = [module.name for module in walk_packages(scripts.__path__, "scripts.")]


def test_there_are_some() -> None:
    assert {"scripts.answer", "scripts.costs", "scripts.growth", "scripts.faults.kills"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_each_is_imported(name: str) -> None:
    import_module(name)
