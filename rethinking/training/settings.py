"""How a cell is trained: one file of `conf/trainer`."""

import math
from dataclasses import dataclass

from rethinking.errors import UserError

# Beyond these a value is a slip. Adam moves a weight by about the rate in every step.
LARGEST_COUNT, LARGEST_RATE = 1_000_000, 1.0


@dataclass
class TrainerConfig:
    """One file of `conf/trainer` (the paper, Section 2.1 and Appendix A).

    batch_size: graphs a step and replica. learning_rate decays by decay_factor after decay_patience
    epochs without improvement, not below min_learning_rate. Training ends after stop_patience epochs
    without a strictly better validation metric, or after max_epochs. gradient_clip: the norm to which a
    replica's gradient is scaled down; null for no clipping. compare_from: the first epoch whose score must be
    better than the one before; null for the first. saved_weights: "last" to save those of the last epoch; null for
    those of the best. watched: "loss" where the validation loss says what is better; null for the metric.
    least_gain: by more than which a score has to be better to count; null for 0.
    """

    batch_size: int
    learning_rate: float
    min_learning_rate: float
    decay_factor: float
    decay_patience: int
    stop_patience: int
    max_epochs: int
    gradient_clip: float | None
    compare_from: int | None = None
    saved_weights: str | None = None
    watched: str | None = None
    least_gain: float | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "stop_patience", "max_epochs"):
            self._expect(1 <= getattr(self, name) <= LARGEST_COUNT, f"a whole number from 1 to {LARGEST_COUNT}", name)
        self._expect(
            0 <= self.decay_patience <= LARGEST_COUNT and 0 < self.decay_factor < 1,
            f"a patience from 0 to {LARGEST_COUNT} and a factor between 0 and 1",
            "decay_patience",
            "decay_factor",
        )
        self._expect(
            self.saved_weights in (None, "last") and (self.compare_from is None or self.compare_from >= 1),
            "null or last, and null or an epoch from 1 on",
            "saved_weights",
            "compare_from",
        )
        self._expect(
            self.watched in (None, "loss") and (self.least_gain is None or 0 <= self.least_gain < math.inf),
            "null or loss, and null or a gain of at least 0",
            "watched",
            "least_gain",
        )
        self._expect(
            0 <= self.min_learning_rate <= self.learning_rate and 0 < self.learning_rate <= LARGEST_RATE,
            f"a rate above 0 and up to {LARGEST_RATE}, not below the smallest",
            "learning_rate",
            "min_learning_rate",
        )
        self._expect(
            self.gradient_clip is None or 0 < self.gradient_clip < math.inf,
            "a norm above 0, or null for no clipping",
            "gradient_clip",
        )

    def watch(self, metric: str, higher_is_better: bool) -> tuple[str, bool]:
        """The column of the history that says what is better, and whether higher is; of a task's metric."""
        return ("val_loss", False) if self.watched == "loss" else (f"val_{metric}", higher_is_better)

    def weights_epoch(self, best_epoch: int, epochs: int) -> int:
        """The epoch whose weights a run of so many epochs keeps: the best one or the last."""
        return epochs if self.saved_weights == "last" else best_epoch

    def _expect(self, fulfilled: bool, text: str, *names: str) -> None:
        """Raises UserError with the values of these settings unless they are as expected; NaN fulfils nothing."""
        if not fulfilled:
            values = ", ".join(f"{name}={getattr(self, name)}" for name in names)
            raise UserError(f"trainer.{values}: expected {text}.")
