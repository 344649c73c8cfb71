"""The units in which scores are shown."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # The statistics take seconds to import, which the progress of a run need not wait for.
    from rethinking.analysis.statistics import PairedDifference


@dataclass(frozen=True)
class Unit:
    """How the numbers of a metric are shown. metric: as in a run's record. scale: shown = scale × recorded."""

    metric: str
    scale: float
    digits: int
    name: str

    def show(self, mean: float, std: float) -> str:
        """Mean ± standard deviation; the latter is left out if it is NaN."""
        return f"{mean:.{self.digits}f}" + ("" if np.isnan(std) else f" ± {std:.{self.digits}f}")

    def difference(self, difference: "PairedDifference", line_break: str = " ") -> str:
        """A paired difference with its interval; without it for one seed."""
        text = f"{difference.mean:+.{self.digits}f}"
        if difference.n > 1:
            text += f"{line_break}[{difference.low:+.{self.digits}f}, {difference.high:+.{self.digits}f}]"
        return text

    def margin_text(self, margin: float) -> str:
        """A margin, with what it is of."""
        points = "" if self.scale != 100 else " point" if margin == 1 else " points"
        return f"{margin:g}{points} of {self.name}"


# By the names of the published file.
UNITS = {
    "accuracy_pct": Unit("accuracy", 100, 1, "accuracy"),
    "rocauc_pct": Unit("rocauc", 100, 1, "ROC-AUC"),
    "mae": Unit("mae", 1, 3, "MAE"),
}


def unit_of(metric: str) -> Unit:
    """The unit of a metric; of one that is not known, as it is recorded."""
    return next((unit for unit in UNITS.values() if unit.metric == metric), Unit(metric, 1, 3, metric))
