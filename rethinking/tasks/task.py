"""What a model is trained for, and how its scores are shown and judged. Each task has a file beside this one."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rethinking.data.dataset import GraphDataset
from rethinking.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


FINEST = 3  # Digits more than a unit's, in which a difference may still be seen.


@dataclass(frozen=True)
class Unit:
    """How the numbers of a metric are shown. name: of the metric, in words. scale: shown = scale × recorded."""

    name: str
    scale: float
    digits: int

    @property
    def in_points(self) -> bool:
        """Whether it is a share that is shown in per cent, so that its differences are points."""
        return self.scale == 100

    def number(self, recorded: float) -> str:
        """A number as it is recorded, in this unit."""
        return f"{self.scale * recorded:z.{self.digits}f}"

    def show(self, mean: float, std: float) -> str:
        """Mean ± standard deviation, both scaled already; the latter is left out if it is NaN."""
        return f"{mean:z.{self.digits}f}" + ("" if math.isnan(std) else f" ± {std:.{self.digits}f}")

    def interval(self, mean: float, low: float, high: float, line_break: str = " ") -> str:
        """A difference with its interval, scaled already; without it where it is NaN, as for one seed."""
        text = self.signed(mean)
        if not math.isnan(low):
            text += f"{line_break}[{self.signed(low)}, {self.signed(high)}]"
        return text

    def signed(self, difference: float) -> str:
        """A difference, scaled already, with its sign; one that rounds to zero up to the first digit that is not.

        So that one sees on which side of zero it is. What has no such digit within FINEST more is zero.
        """
        digits = self.digits
        if difference and float(f"{difference:.{digits}f}") == 0:
            first = -math.floor(math.log10(abs(difference)))
            digits = first if first <= digits + FINEST else digits
        return f"{difference:+z.{digits}f}"

    def amount(self, size: float) -> str:
        """How much, scaled already: `1 point`, `0.01`."""
        return f"{size:g}{'' if self.scale != 100 else ' point' if size == 1 else ' points'}"

    def margin_text(self, margin: float) -> str:
        """A margin, scaled already, with what it is of."""
        return f"{self.amount(margin)} of {self.name}"


@dataclass(frozen=True)
class Measure:
    """What the scores of a task mean, as plain data: all that is recorded of it beside every cell.

    margin: differences within it do not matter, in the metric's own unit (0.01 is one point of accuracy).
    """

    metric: str
    higher_is_better: bool
    unit: Unit
    margin: float

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "Measure":
        """From what `asdict` has made of one. Raises KeyError, TypeError or ValueError for anything else."""
        unit = stored["unit"]
        if type(stored["higher_is_better"]) is not bool or unit["digits"] not in range(11):
            raise ValueError("a measure says whether higher is better, and shows up to ten digits")
        if not 0 < float(unit["scale"]) < math.inf:
            raise ValueError("a measure is shown at a scale above 0")
        return cls(
            str(stored["metric"]),
            bool(stored["higher_is_better"]),
            Unit(str(unit["name"]), float(unit["scale"]), int(unit["digits"])),
            float(stored["margin"]),
        )


# What is recorded of the graphs of a part, by column: `target` and `prediction` [G], and what else a task has.
Columns = dict[str, np.ndarray]


class Task(ABC):
    """What a model is trained for.

    metric: the name of the score that the schedule and early stopping watch; higher_is_better: which way.
    unit: how it is shown. margin: differences within it do not matter, in the metric's own unit; a task that a
    configuration names needs one. counts_graphs: whether its scores of single graphs are 0 or 1.
    """

    metric: str
    higher_is_better: ClassVar[bool]
    counts_graphs: ClassVar[bool] = False
    unit: ClassVar[Unit]

    def __init__(self, margin: float | None = None) -> None:
        self.margin = margin

    @abstractmethod
    def out_features(self, dataset: GraphDataset) -> int:
        """The width of a prediction, C."""

    @abstractmethod
    def targets(self, dataset: GraphDataset) -> np.ndarray:
        """What is to be predicted of every graph, [G]. Raises UserError if the data set has no such thing."""

    @abstractmethod
    def loss(self, prediction: "Tensor", y: "Tensor") -> "Tensor":
        """The mean loss over each replica's graphs. prediction: [R, B, C]. y: [R, B]. Returns [R]."""

    @abstractmethod
    def predictions(self, raw: np.ndarray, y: np.ndarray) -> Columns:
        """What is recorded of some graphs. raw: [G, C], a network's output. y: [G], their targets."""

    @abstractmethod
    def metric_of(self, columns: Columns) -> float:
        """The metric over some graphs, from what is recorded of them and from nothing else."""

    def graph_scores(self, columns: Columns) -> np.ndarray | None:
        """What each of some graphs contributes, double [G]: their mean is the metric. None if that cannot be said."""
        return None

    def score(self, prediction: "Tensor", y: "Tensor") -> "Tensor":
        """The metric over each replica's graphs, [R, G, C] and [R, G]. Returns [R], double, on the CPU.

        By way of `predictions`, so that a recorded score can be had again from recorded predictions, bit by bit.
        """
        import torch  # Late: what a score means is asked by tables, too.

        raw, targets = prediction.detach().cpu().numpy(), y.cpu().numpy()
        scores = [self.metric_of(self.predictions(r, t)) for r, t in zip(raw, targets, strict=True)]
        return torch.tensor(scores, dtype=torch.float64)

    @property
    def measure(self) -> Measure:
        """What is recorded of the task. Raises UserError if it has no margin, or one that makes no sense."""
        margin = self.margin
        if isinstance(margin, bool) or not isinstance(margin, (int, float)) or not 0 < margin < math.inf:
            raise UserError(
                f"The task {type(self).__name__} has the margin {margin}; say in its YAML which difference of "
                f"{self.metric} does not matter, a number above 0 such as `margin: 0.01`."
            )
        return Measure(self.metric, self.higher_is_better, self.unit, float(margin))
