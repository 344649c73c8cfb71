"""Suites: named lists of cells, those of a table or figure of the paper (`conf/suite`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from rethinking import paths
from rethinking.configuration.composition import LEARNED, brought, options
from rethinking.errors import UserError
from rethinking.runs.plain import READER
from rethinking.scorecard.settings import section


@dataclass(frozen=True)
class Suite:
    """One file of `conf/suite`.

    rows: the overrides of each row's cells, None for a row that is cited and not trained. columns: the title of each
    data set. compare: pairs of rows, the first minus the second. operators: by each operator's row those of its own
    controls; where there are any, `compare` has these and what all operators are compared with. note: what is known
    of its rows. known: by data set what is known or expected of it, where that is not the question but its test.
    table, figure: its number in the paper, if it is one; a figure may have another name. drawn: how a figure is drawn,
    see `analysis/figures`. axes: the two arguments of the network that a figure varies. looked_at: how many test
    graphs, or permutations of all graphs, a figure shows of each trained network. common: words of all rows that make
    no other cells of them.
    """

    name: str
    title: str
    seeds: int
    rows: dict[str, list[str] | None]
    columns: dict[str, str]
    compare: list[tuple[str, str]]
    operators: Mapping[str, list[str]] = field(default_factory=dict)
    note: str = ""
    known: Mapping[str, str] = field(default_factory=dict)
    table: str | None = None
    figure: str | None = None
    drawn: str = ""
    axes: Sequence[str] = ()
    looked_at: int = 0
    common: Sequence[str] = ()

    @property
    def label(self) -> str:
        """The number of the paper's table, or its own name."""
        return self.table or self.name

    @property
    def row_keys(self) -> set[str]:
        """What the rows choose."""
        return {word.partition("=")[0] for overrides in self.rows.values() for word in overrides or ()}

    @property
    def keeps_weights(self) -> bool:
        """Whether it is made of weights, so that runs without them are not enough."""
        return "save_model=true" in self.common

    def sweeps(self, changed: Sequence[str] = ()) -> list[list[str]]:
        """The overrides of a multirun for each row that is trained, with some of them changed.

        An added file (`+experiment=NAME`) that has a number of seeds has its own way.
        Of operators, which are many, a data set is done before the next one begins.
        """
        keys = {word.partition("=")[0] for word in changed}
        seeds = [] if brought(changed, "seeds") else [f"seeds={self.seeds}"]
        datasets = list(self.columns) if self.operators and "dataset" not in keys else [",".join(self.columns)]
        return [
            [*overrides, *(word for word in common if word.partition("=")[0] not in keys), *changed]
            for common in ([*self.common, f"dataset={dataset}", *seeds] for dataset in datasets)
            for overrides in self.rows.values()
            if overrides is not None
        ]


def suite_names() -> list[str]:
    """The suites there are."""
    return options("suite")


def table_names() -> list[str]:
    """The tables of the paper that are made from runs."""
    return [suite.table for suite in map(load_suite, suite_names()) if suite.table]


def load_suite(name: str) -> Suite:
    """A suite by its name, or by the number of its table. Raises UserError if there is none."""
    known = suite_names()
    # By its name, so that a broken file beside it stops nothing.
    suite = _suite(name) if name in known else next((s for s in map(_suite, known) if s.table == name), None)
    if suite is None:
        studies = section("studies")  # Suites to those who type their names, but without cells.
        raise UserError(f"There is no suite '{name}'; expected one of {', '.join([*known, *studies])}.")
    return suite


def _suite(name: str) -> Suite:
    folders = [folder / "suite" for folder in paths.configuration()]
    return _read(next(path for folder in folders if (path := folder / f"{name}.yaml").is_file()))


@cache
def _read(path: Path) -> Suite:
    """Raises UserError for a file that is no suite."""
    try:
        spec = yaml.load(path.read_text(encoding="utf-8"), READER)
        rows = {str(row): None if words == "cited" else list(map(str, words)) for row, words in spec["rows"].items()}
        pairs = [(str(first), str(second)) for first, second in spec.get("compare", ())]
        for_all = list(rows)
        operators = {str(name): list(map(str, variants)) for name, variants in spec.get("operators", {}).items()}
        for name, variants in operators.items():
            twins = {f"{name}, {variant}": variant for variant in variants}
            rows |= {row: _in_host(name, variant) for row, variant in {name: LEARNED, **twins}.items()}
            pairs += [(other, name) for other in [*twins, *for_all]]
            operators[name] = list(twins)
        columns = {str(dataset): str(title) for dataset, title in spec["columns"].items()}
        known = {str(dataset): str(text) for dataset, text in spec.get("known", {}).items()}
        if not all(words == "cited" or isinstance(words, list) for words in spec["rows"].values()):
            raise TypeError("a row is a list of overrides, or cited")
        if type(spec["seeds"]) is not int or not {row for pair in pairs for row in pair} <= set(rows):
            raise ValueError("seeds is a whole number, and compare has pairs of rows")
        controls = [word for row in for_all for word in rows[row] or () if word.startswith("pooling=")]
        if operators and len(set(controls)) < len(controls):
            raise ValueError("each row that all operators are compared with has a pooling of its own")
        if not known.keys() <= columns.keys():
            raise ValueError("known speaks of data sets of columns")
        read = ("rows", "compare", "operators", "columns", "known")
        others = {key: value for key, value in spec.items() if key not in read}
        return Suite(path.stem, rows=rows, compare=pairs, operators=operators, columns=columns, known=known, **others)
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        text = " ".join(str(error).split())
        raise UserError(
            f"{path} is no suite ({type(error).__name__}: {text}); expected title, seeds, rows and columns as in the "
            "project's conf/suite/table1.yaml."
        ) from error


def _in_host(operator: str, variant: str) -> list[str]:
    """What chooses an operator, or a twin of it."""
    return ["model=host", f"pooler={operator}", f"pooling={variant}"]
