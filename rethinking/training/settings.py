"""How a cell is trained: one file of `conf/trainer`."""

from dataclasses import dataclass

from rethinking.errors import UserError


@dataclass
class TrainerConfig:
    """One file of `conf/trainer` (the paper, Section 2.1 and Appendix A).

    batch_size: graphs a step and replica. learning_rate decays by decay_factor after decay_patience
    epochs without improvement, not below min_learning_rate. Training ends after stop_patience epochs
    without a strictly better validation metric, or after max_epochs. gradient_clip: the norm to which a
    replica's gradient is scaled down; null for no clipping. compare_from: the first epoch whose score must be
    better than the one before; null for the first. saved_weights: "last" to save those of the last epoch; null for
    those of the best.
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

    def __post_init__(self) -> None:
        for name in ("batch_size", "stop_patience", "max_epochs"):
            if getattr(self, name) < 1:
                raise UserError(f"trainer.{name}={getattr(self, name)}: expected at least 1.")
        if self.decay_patience < 0 or not 0 < self.decay_factor < 1:
            raise UserError(
                f"trainer.decay_patience={self.decay_patience}, decay_factor={self.decay_factor}: "
                "expected a patience of at least 0 and a factor between 0 and 1."
            )
        if self.saved_weights not in (None, "last") or (self.compare_from or 1) < 1:
            raise UserError(
                f"trainer.saved_weights={self.saved_weights}, compare_from={self.compare_from}: expected null or last, "
                "and null or an epoch from 1 on."
            )
        if not 0 <= self.min_learning_rate <= self.learning_rate:
            raise UserError(
                f"trainer.learning_rate={self.learning_rate}, min_learning_rate={self.min_learning_rate}: "
                "expected a positive rate, not below the smallest."
            )

    def weights_epoch(self, best_epoch: int, epochs: int) -> int:
        """The epoch whose weights a run of so many epochs keeps: the best one or the last."""
        return epochs if self.saved_weights == "last" else best_epoch
