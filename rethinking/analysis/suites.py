"""Suites: named lists of cells, those of a table or figure of the paper (`conf/suite`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from rethinking import paths
from rethinking.configuration.composition import options
from rethinking.errors import UserError


@dataclass(frozen=True)
class Suite:
    """One file of `conf/suite`.

    rows: the overrides of each row's cells, None for a row that is cited and not trained. columns: the title of each
    data set. compare: pairs of rows, the first minus the second.
    """

    name: str
    title: str
    seeds: int
    rows: dict[str, list[str] | None]
    columns: dict[str, str]
    compare: list[tuple[str, str]]

    @property
    def table(self) -> str:
        """The table's number in the paper, if it is one."""
        return self.name.removeprefix("table")

    @property
    def figure(self) -> str | None:
        """The figure's number in the paper, if it is one."""
        return self.name.removeprefix("figure") if self.name.startswith("figure") else None

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
    chosen = name if name in known else f"table{name}"
    if chosen not in known:
        raise UserError(f"There is no suite '{name}'; expected one of {', '.join(known)}.")
    spec = yaml.safe_load((paths.CONF / "suite" / f"{chosen}.yaml").read_text())
    rows = {str(row): None if overrides == "cited" else list(overrides) for row, overrides in spec["rows"].items()}
    pairs = [(str(first), str(second)) for first, second in spec["compare"]]
    return Suite(chosen, spec["title"], spec["seeds"], rows, spec["columns"], pairs)
