"""Suites: named lists of cells, those of a table or figure of the paper (`conf/suite`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import yaml

from rethinking import paths
from rethinking.configuration.composition import options
from rethinking.errors import UserError


@dataclass(frozen=True)
class Suite:
    """One file of `conf/suite`.

    rows: the overrides of each row's cells, None for a row that is cited and not trained. columns: the title of each
    data set. compare: pairs of rows, the first minus the second. note: what is known of its rows. table, figure: its
    number in the paper, if it is one. drawn: how a figure is drawn, see `analysis/figures`. axes: the two arguments of
    the network that a figure varies.
    """

    name: str
    title: str
    seeds: int
    rows: dict[str, list[str] | None]
    columns: dict[str, str]
    compare: list[tuple[str, str]]
    note: str = ""
    table: str | None = None
    figure: str | None = None
    drawn: str = ""
    axes: Sequence[str] = ()

    @property
    def label(self) -> str:
        """The number of the paper's table, or its own name."""
        return self.table or self.name

    def sweeps(self, changed: Sequence[str] = ()) -> list[list[str]]:
        """The overrides of a multirun for each row that is trained, with some of them changed."""
        common = [f"dataset={','.join(self.columns)}", f"seeds={self.seeds}"]
        keys = {word.partition("=")[0] for word in changed}
        common = [word for word in common if word.partition("=")[0] not in keys]
        return [[*overrides, *common, *changed] for overrides in self.rows.values() if overrides is not None]


def suite_names() -> list[str]:
    """The suites there are."""
    return options("suite")


def load_suite(name: str) -> Suite:
    """A suite by its name, or by the number of its table. Raises UserError if there is none."""
    known = suite_names()
    suite = _suites()[name] if name in known else next((s for s in _suites().values() if s.table == name), None)
    if suite is None:
        raise UserError(f"There is no suite '{name}'; expected one of {', '.join(known)}.")
    return suite


@cache
def _suites() -> dict[str, Suite]:
    return {name: _read(name) for name in suite_names()}


def _read(name: str) -> Suite:
    spec = yaml.safe_load((paths.CONF / "suite" / f"{name}.yaml").read_text())
    rows = {str(row): None if overrides == "cited" else list(overrides) for row, overrides in spec["rows"].items()}
    pairs = [(str(first), str(second)) for first, second in spec["compare"]]
    others = {key: value for key, value in spec.items() if key not in ("rows", "compare")}
    return Suite(name, rows=rows, compare=pairs, **others)
