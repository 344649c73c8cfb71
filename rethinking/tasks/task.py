"""What a model is trained for: its loss and its metrics, for every replica at once."""

import sys
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rethinking.data.dataset import GraphDataset


class Task(Protocol):
    """metric: the name of the score that the schedule and early stopping watch; higher_is_better: which way."""

    metric: str
    higher_is_better: bool

    def out_features(self, dataset: GraphDataset) -> int:
        """The width of a prediction."""
        ...

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """The mean loss over each replica's graphs. prediction: [R, B, C]. y: [R, B]. Returns [R]."""
        ...

    def score(self, prediction: Tensor, y: Tensor) -> Tensor:
        """The metric over each replica's graphs. Returns [R]."""
        ...


class Classification:
    """Cross-entropy and accuracy (a fraction)."""

    metric = "accuracy"
    higher_is_better = True

    def out_features(self, dataset: GraphDataset) -> int:
        """One number a class."""
        return dataset.classes

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """See `Task.loss`."""
        losses = F.cross_entropy(prediction.flatten(0, 1), y.flatten(), reduction="none")
        return losses.view_as(y).mean(dim=1)

    def score(self, prediction: Tensor, y: Tensor) -> Tensor:
        """See `Task.score`."""
        return (prediction.argmax(dim=-1) == y).double().mean(dim=1)


class OGBClassification(Classification):
    """Two classes: cross-entropy, and the metric that the Open Graph Benchmark has for a data set of its.

    dataset: OGB's name, of a set with one binary target that is ranked (`rocauc`), such as ogbg-molhiv.
    Raises ValueError for any other.
    """

    def __init__(self, dataset: str) -> None:
        self.evaluator = _ogb_evaluator(dataset)
        self.metric = str(self.evaluator.eval_metric)
        if self.metric != "rocauc" or self.evaluator.num_tasks != 1:
            raise ValueError(
                f"{dataset} has {self.evaluator.num_tasks} targets and the metric {self.metric}; expected one, rocauc"
            )

    def score(self, prediction: Tensor, y: Tensor) -> Tensor:
        """See `Task.score`; not a number where a part has one class only."""
        margin = (prediction[..., 1] - prediction[..., 0]).double().cpu().numpy()
        return torch.tensor([self._score(m, t) for m, t in zip(margin, y.cpu().numpy(), strict=True)]).double()

    def _score(self, margin: np.ndarray, truth: np.ndarray) -> float:
        if truth.min() == truth.max():
            return float("nan")
        return self.evaluator.eval({"y_true": truth[:, None], "y_pred": margin[:, None]})[self.metric]


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


class Regression:
    """The mean absolute error of one number a graph, as loss (L1) and as score; the target is used as it is."""

    metric = "mae"
    higher_is_better = False

    def out_features(self, dataset: GraphDataset) -> int:
        """One."""
        return 1

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """See `Task.loss`."""
        return (prediction.squeeze(-1) - y).abs().mean(dim=1)

    def score(self, prediction: Tensor, y: Tensor) -> Tensor:
        """See `Task.score`."""
        return self.loss(prediction, y).double()
