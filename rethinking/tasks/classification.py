"""Classification: cross-entropy, and the share of graphs whose class is right."""

from typing import TYPE_CHECKING

import numpy as np

from rethinking.data.dataset import GraphDataset
from rethinking.errors import UserError
from rethinking.tasks.task import Columns, Task, Unit

if TYPE_CHECKING:
    from torch import Tensor


class Classification(Task):
    """Cross-entropy and accuracy (a fraction)."""

    metric = "accuracy"
    higher_is_better = True
    counts_graphs = True
    unit = Unit("accuracy", scale=100, digits=1)

    def out_features(self, dataset: GraphDataset) -> int:
        """One number a class."""
        return dataset.classes

    def targets(self, dataset: GraphDataset) -> np.ndarray:
        """The class of every graph, int64 [G]. Raises UserError where the target is a number."""
        if not np.issubdtype(dataset.y.dtype, np.integer):
            raise UserError(f"{dataset.name} has numbers to predict, no classes; its task cannot be a classification.")
        return dataset.y

    def loss(self, prediction: "Tensor", y: "Tensor") -> "Tensor":
        """See `Task.loss`."""
        import torch.nn.functional as F  # Late, as in `Task.score`.

        losses = F.cross_entropy(prediction.flatten(0, 1), y.flatten(), reduction="none")
        return losses.view_as(y).mean(dim=1)

    def predictions(self, raw: np.ndarray, y: np.ndarray) -> Columns:
        """The likeliest class, the first of several, and the natural logarithm of its probability."""
        import torch

        chosen = raw.argmax(axis=1)
        log_probability = torch.from_numpy(raw).double().log_softmax(dim=1).numpy()[np.arange(len(raw)), chosen]
        return {"target": y, "prediction": chosen, "log_probability": log_probability.astype(np.float32)}

    def metric_of(self, columns: Columns) -> float:
        """Accuracy: a count divided by another."""
        return int((columns["prediction"] == columns["target"]).sum()) / len(columns["target"])

    def graph_scores(self, columns: Columns) -> np.ndarray:
        """1 where the class is right, else 0."""
        return (columns["prediction"] == columns["target"]).astype(np.float64)
