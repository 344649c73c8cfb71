"""The scores of cells as tables and figures take them: in the unit that is shown, and paired by seed."""

from dataclasses import dataclass

import pandas as pd

from rethinking.analysis.inference.estimates import Estimate, paired
from rethinking.analysis.tidy import Results
from rethinking.configuration.cell import Cell


@dataclass(frozen=True)
class Scores:
    """The test scores of the first seeds of a cell, on one content of its data set and of one schema.

    values: indexed by seed. older: whether they are of schema 1. id: of the cell. content: the data set's fingerprint.
    """

    values: pd.Series
    older: bool = False
    id: str = ""
    content: str | None = None

    def __len__(self) -> int:
        return len(self.values)

    def minus(self, other: "Scores") -> Estimate | None:
        """The paired difference on the seeds that both have.

        None if there are none, or they are of two schemas, or of other graphs.
        """
        both = self.values.index.intersection(other.values.index)
        if both.empty or self.older != other.older or self.content != other.content:
            return None
        return paired((self.values[both] - other.values[both]).to_numpy())


NONE = Scores(pd.Series(dtype=float))


def suite_scores(cell: Cell, results: Results, seeds: int) -> Scores:
    """The scores of a cell's first seeds; of several contents of its data set, of the one with the most."""
    known = results.cell_with_runs(cell)
    if known is None:
        return NONE
    stored = results.cells[known]
    values = stored.measure.unit.scale * results.scores(known, stored.measure.metric)
    return Scores(values[values.index.isin(range(seeds))], stored.older, known, stored.fingerprint)
