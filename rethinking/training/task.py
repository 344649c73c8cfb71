"""What a model is trained for: its loss and its metrics, for every replica at once."""

from typing import Protocol

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


class Ranking(Classification):
    """Two classes: cross-entropy, and the area under the ROC curve over a whole part of the split (as OGB's)."""

    metric = "rocauc"

    def score(self, prediction: Tensor, y: Tensor) -> Tensor:
        """See `Task.score`; not a number where a part has one class only."""
        # Late: it takes longer to import than most commands need.
        from sklearn.metrics import roc_auc_score

        margin = (prediction[..., 1] - prediction[..., 0]).double().cpu().numpy()
        truth = y.cpu().numpy()
        both = (truth.min(axis=1) == 0) & (truth.max(axis=1) == 1)
        areas = [roc_auc_score(t, m) if b else float("nan") for t, m, b in zip(truth, margin, both, strict=True)]
        return torch.tensor(areas, dtype=torch.float64)


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
