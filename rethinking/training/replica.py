"""One seed among the replicas of a group: its optimiser, its schedule, its early stopping, its history."""

import math
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import ReduceLROnPlateau

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


@dataclass
class Replica:
    """The state of one seed while it trains, apart from its weights.

    unsupervised_optimizer: of the epochs that are one unsupervised step, if there are any; its rate does not decay,
    as in the released code. history: one flat record per epoch. seconds: this replica's share of the time spent.
    weights: those to be saved, as the state of a network with one replica; None unless they are asked for.
    """

    seed: int
    optimizer: Adam
    schedule: ReduceLROnPlateau
    unsupervised_optimizer: Adam | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float = -math.inf
    seconds: float = 0.0
    weights: dict[str, Tensor] | None = None
    error: str | None = None

    @classmethod
    def start(
        cls, seed: int, row: nn.Parameter, config: TrainerConfig, unsupervised: nn.Parameter | None = None
    ) -> "Replica":
        """A replica before its first epoch.

        row: its share of the parameters, [P]. unsupervised: what the unsupervised steps train, `row` or another.
        """
        optimizer = Adam([row], lr=config.learning_rate, fused=True)
        schedule = ReduceLROnPlateau(
            optimizer,
            mode="max",
            factor=config.decay_factor,
            patience=config.decay_patience,
            min_lr=config.min_learning_rate,
        )
        own = None if unsupervised is None else Adam([unsupervised], lr=config.learning_rate, fused=True)
        return cls(seed, optimizer, schedule, own)

    def move_to(self, row: nn.Parameter, unsupervised: nn.Parameter | None = None) -> None:
        """Let the optimisers go on with copies of their parameters."""
        _replace(self.optimizer, row)
        if self.unsupervised_optimizer is not None and unsupervised is not None:
            _replace(self.unsupervised_optimizer, unsupervised)

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def end_epoch(self, record: dict[str, float], score: float, config: TrainerConfig) -> None:
        """Take note of an epoch. score: the validation metric, higher is better."""
        self.history.append(record)
        if not all(map(math.isfinite, record.values())):
            broken = ", ".join(name for name, value in record.items() if not math.isfinite(value))
            self.error = f"Training diverged in epoch {len(self.history)}: {broken} is not a finite number."
        if score > self.best_score or len(self.history) < (config.compare_from or 1):
            self.best_score = score
            self.best_epoch = len(self.history)
        self.schedule.step(score)

    def finished(self, config: TrainerConfig) -> bool:
        """Whether the replica has failed, has run out of patience or has seen all epochs."""
        epoch = len(self.history)
        waited = epoch - self.best_epoch
        return self.error is not None or waited >= config.stop_patience or epoch >= config.max_epochs


def _replace(optimizer: Adam, row: nn.Parameter) -> None:
    (old,) = optimizer.param_groups[0]["params"]
    optimizer.param_groups[0]["params"] = [row]
    if old in optimizer.state:
        optimizer.state[row] = optimizer.state.pop(old)
