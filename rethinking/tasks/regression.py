"""Regression: one number a graph, by its mean absolute error."""

import math
from typing import TYPE_CHECKING

import numpy as np

from rethinking.data.dataset import GraphDataset
from rethinking.tasks.task import Columns, Task, Unit

if TYPE_CHECKING:
    from torch import Tensor


class Regression(Task):
    """The mean absolute error as loss (L1) and as score; the target is used as it is."""

    metric = "mae"
    higher_is_better = False
    unit = Unit("MAE", scale=1, digits=3)

    def out_features(self, dataset: GraphDataset) -> int:
        """One."""
        return 1

    def targets(self, dataset: GraphDataset) -> np.ndarray:
        """The number of every graph, float32 [G]; classes are taken as numbers."""
        return dataset.y.astype(np.float32, copy=False)

    def loss(self, prediction: "Tensor", y: "Tensor") -> "Tensor":
        """See `Task.loss`."""
        return (prediction.squeeze(-1) - y).abs().mean(dim=1)

    def predictions(self, raw: np.ndarray, y: np.ndarray) -> Columns:
        """The number, float32."""
        return {"target": y, "prediction": raw[:, 0].astype(np.float32)}

    def metric_of(self, columns: Columns) -> float:
        """The mean absolute error, of a sum that is exact, so that the order of graphs does not matter."""
        errors = np.abs(columns["prediction"].astype(np.float64) - columns["target"].astype(np.float64))
        return math.fsum(errors.tolist()) / len(errors) if np.isfinite(errors).all() else math.nan

    def graph_scores(self, columns: Columns) -> np.ndarray:
        """The absolute error."""
        return np.abs(columns["prediction"].astype(np.float64) - columns["target"].astype(np.float64))
