"""Data sets of the Open Graph Benchmark, judged by its own evaluator."""

import importlib.util
import math
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rethinking.tasks.classification import Classification
from rethinking.tasks.task import Columns, Unit


class OGBClassification(Classification):
    """Two classes: cross-entropy, and the metric that the Open Graph Benchmark has for a data set of its.

    dataset: OGB's name, of a set with one binary target that is ranked (`rocauc`), such as ogbg-molhiv.
    by_output: rank graphs by the network's output for the second class instead of the logit, by how much it exceeds
    that for the first (fidelity ledger, row 17). Raises ValueError for any other data set.
    """

    unit = Unit("ROC-AUC", scale=100, digits=1)
    counts_graphs = False

    def __init__(self, dataset: str, by_output: bool = False, margin: float | None = None) -> None:
        super().__init__(margin)
        self.by_output = by_output
        self.dataset = dataset
        self.metric, targets = _judged_by(dataset)
        if self.metric != "rocauc" or targets != 1:
            raise ValueError(f"{dataset} has {targets} targets and the metric {self.metric}; expected one, rocauc")

    def predictions(self, raw: np.ndarray, y: np.ndarray) -> Columns:
        """The logit of the second class, by which graphs are ranked, float32."""
        ranked = raw[:, 1] if self.by_output else raw[:, 1] - raw[:, 0]
        return {"target": y, "prediction": ranked.astype(np.float32)}

    def metric_of(self, columns: Columns) -> float:
        """The area under the curve; NaN where there is one class only, or a logit is not a finite number."""
        logit, truth = columns["prediction"].astype(np.float64)[:, None], columns["target"][:, None]
        if truth.min() == truth.max() or not np.isfinite(logit).all():
            return math.nan
        return float(_ogb_evaluator(self.dataset).eval({"y_true": truth, "y_pred": logit})[self.metric])

    def graph_scores(self, columns: Columns) -> np.ndarray:
        """From the placement value of a graph, the share of the other class that it is on the right side of.

        Each class has half of the weight, however many graphs it has, as in the variance of DeLong, DeLong and
        Clarke-Pearson (1988); the mean is the area under the curve. NaN where there is one class only.
        """
        logit, positive = columns["prediction"].astype(np.float64), columns["target"] == 1
        n, ones = len(logit), int(positive.sum())
        if ones in (0, n) or not np.isfinite(logit).all():
            return np.full(n, math.nan)
        placements = np.empty(n)
        among_all = _ranks(logit)
        placements[positive] = (among_all[positive] - _ranks(logit[positive])) / (n - ones)
        placements[~positive] = 1 - (among_all[~positive] - _ranks(logit[~positive])) / ones
        area = placements[positive].mean()
        return area + (placements - area) * np.where(positive, n / ones, n / (n - ones))


def _ranks(values: np.ndarray) -> np.ndarray:
    """From 1 on; of equal values their mean."""
    return pd.Series(values).rank().to_numpy()


@cache
def _judged_by(dataset: str) -> tuple[str, int]:
    """A data set's metric and number of targets, from OGB's table: its package imports all of PyG, which takes seconds.

    Raises ValueError for a data set that OGB does not have.
    """
    package = importlib.util.find_spec("ogb")
    if package is None or not package.submodule_search_locations:
        raise ValueError("the package ogb is not installed")
    table = pd.read_csv(Path(package.submodule_search_locations[0]) / "graphproppred" / "master.csv", index_col=0)
    if dataset not in table:
        raise ValueError(f"Invalid dataset name {dataset}; OGB has {', '.join(map(str, table))}")
    return str(table[dataset]["eval metric"]), int(table[dataset]["num tasks"])


@cache
def _ogb_evaluator(dataset: str) -> Any:
    """OGB's own judge, imported late and without its look for a newer version on the network."""
    absent = sys.modules.get("outdated")
    sys.modules["outdated"] = None  # type: ignore[assignment]
    try:
        from ogb.graphproppred import Evaluator
    finally:
        del sys.modules["outdated"]
        if absent is not None:
            sys.modules["outdated"] = absent
    return Evaluator(dataset)
