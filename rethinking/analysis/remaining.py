"""How long what a suite lacks will take, at rates that were measured."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from rethinking import paths
from rethinking.analysis.tidy import Results
from rethinking.configuration.cell import Cell

COSTS = paths.REFERENCE / "benchmarks" / "costs.csv"


class Rates:
    """Of the runs that there are, and where there are none alike, of the cost sheet (`make costs`)."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._alike: dict[int, _Alike] = {}

    def seconds(self, cell: Cell, ids: Sequence[str]) -> float | None:
        """Of one core for a seed of a cell, on the machine where it was measured. None if nothing alike was.

        Runs of the cell itself tell best, then those of its family on its data set, then its family's cost sheet, then
        those on other data sets, by how much longer other families take here than there. Of other cells only those
        that may train as many epochs: a quick look tells nothing of a whole training.
        ids: the cell's, see `Results.ids_of`.
        """
        for id in ids:
            if id in self._of_cells.index:
                return float(self._of_cells[id])
        epochs = cell.trainer.max_epochs
        if epochs not in self._alike:
            self._alike[epochs] = _Alike(self._runs[self._runs["max_epochs"] == epochs], self._sheet)
        return self._alike[epochs].seconds(cell.family, cell.dataset.name)

    @cached_property
    def _runs(self) -> pd.DataFrame:
        provenance = self._results.provenance
        if provenance.empty or not {"seconds", "epochs"} <= set(provenance):
            return pd.DataFrame(columns=["cell_id", "family", "dataset", "seconds", "epochs", "max_epochs"])
        kept = provenance[["run_id", "seconds", "epochs"]].copy()
        # Provenance of others may say anything.
        kept[["seconds", "epochs"]] = kept[["seconds", "epochs"]].apply(pd.to_numeric, errors="coerce")
        of = self._results.runs[["run_id", "cell_id", "family", "dataset"]].drop_duplicates("run_id")
        runs = kept.dropna().merge(of, on="run_id")
        most = {id: cell.config["trainer"]["max_epochs"] for id, cell in self._results.cells.items()}
        return runs.assign(max_epochs=runs["cell_id"].map(most))

    @cached_property
    def _of_cells(self) -> pd.Series:
        return self._runs.groupby("cell_id")["seconds"].mean()

    @cached_property
    def _sheet(self) -> pd.Series:
        """Seconds an epoch and seed, by family and data set."""
        if not COSTS.is_file():
            return pd.Series(dtype=float)
        return pd.read_csv(COSTS).dropna(subset="seconds").set_index(["model", "dataset"])["seconds"]


class _Alike:
    """What runs of one length of training tell of others. sheet: seconds an epoch and seed."""

    def __init__(self, runs: pd.DataFrame, sheet: pd.Series) -> None:
        self._sheet = sheet
        self._epochs = runs["epochs"].mean() if len(runs) else None
        self._of_families = runs.groupby(["family", "dataset"])["seconds"].mean()

    def seconds(self, family: str, dataset: str) -> float | None:
        place = family, dataset
        if place in self._of_families.index:
            return float(self._of_families[place])
        if self._epochs is not None and place in self._sheet.index:
            # How many epochs a seed trains, the mean of all runs tells.
            return float(self._sheet[place] * self._epochs)
        return self._by_others(family, dataset)

    def _by_others(self, family: str, dataset: str) -> float | None:
        """The geometric mean over other families, and data sets that both have runs of."""
        known = self._logarithms
        if family not in known.index or dataset not in known.columns:
            return None
        others = known.drop(index=family)
        longer = others[[dataset]].to_numpy() - others.to_numpy()
        found = known.loc[family].to_numpy() + longer
        return float(np.exp(np.nanmean(found))) if np.isfinite(found).any() else None

    @cached_property
    def _logarithms(self) -> pd.DataFrame:
        """Of the seconds of families, a row a family and a column a data set."""
        return np.log(self._of_families[self._of_families > 0]).unstack()
