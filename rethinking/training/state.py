"""All that changes while a group trains, in one object that can be saved; and what a finished replica leaves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from rethinking.training.saved import check_saved
from rethinking.training.schedule import is_better, next_rate, worst
from rethinking.training.settings import TrainerConfig


@dataclass(frozen=True)
class Replica:
    """One seed, trained to its end.

    history: one flat record per epoch. seconds: its share of the time spent. weights: those that the settings say, as
    the state of a network with one replica; None unless they are asked for. weights_epoch: that they are of; matchings
    to go with them are drawn as in that epoch. predictions: the network's outputs in the
    best epoch for the graphs of `val` and `test` in the split's order, [graphs, C]. error: why it failed, or None.
    """

    seed: int
    history: list[dict[str, float]]
    best_epoch: int
    weights_epoch: int
    seconds: float
    weights: dict[str, Tensor] | None
    predictions: dict[str, Tensor]
    error: str | None


@dataclass
class GroupState:
    """The state of R replicas after `epoch`; with it and the named random streams the next epoch is determined.

    All but `epoch` has an entry for each replica that still trains: lists [R] and tensors [R, …].
    parameters: [R, P]. moments: `first`, `second` [R, P] and `steps` [R] of Adam, by the phase's name.
    learning_rate: of the next epoch; plateau_best, plateau_waited: see `next_rate`.
    best_epoch: the one that counts, 0 before the first; best_score, best_parameters, best_buffers, and
    best_predictions, by part of the split, [R, graphs, C] on the CPU, are of that epoch.
    """

    seeds: list[int]
    parameters: Tensor
    buffers: dict[str, Tensor]
    moments: dict[str, dict[str, Tensor]]
    learning_rate: Tensor
    plateau_best: Tensor
    plateau_waited: Tensor
    best_epoch: Tensor
    best_score: Tensor
    best_parameters: Tensor
    best_buffers: dict[str, Tensor]
    histories: list[list[dict[str, float]]]
    seconds: list[float]
    errors: list[str | None]
    best_predictions: dict[str, Tensor] = field(default_factory=dict)
    epoch: int = 0

    @classmethod
    def start(
        cls,
        seeds: Sequence[int],
        parameters: Tensor,
        buffers: dict[str, Tensor],
        phases: Sequence[str],
        learning_rate: float,
        higher_is_better: bool,
    ) -> "GroupState":
        """Before the first epoch. parameters: [R, P]. buffers: those of the network, by name, [R, …] each."""
        replicas = len(seeds)

        def each(value: float, kind: torch.dtype = torch.double) -> Tensor:
            return torch.full((replicas,), value, dtype=kind, device=parameters.device)

        return cls(
            seeds=list(seeds),
            parameters=parameters,
            buffers=buffers,
            moments={
                phase: {
                    "first": torch.zeros_like(parameters),
                    "second": torch.zeros_like(parameters),
                    "steps": each(0.0),
                }
                for phase in phases
            },
            learning_rate=each(learning_rate),
            plateau_best=each(worst(higher_is_better)),
            plateau_waited=each(0, torch.long),
            best_epoch=each(0, torch.long),
            best_score=each(worst(higher_is_better)),
            best_parameters=parameters.clone(),
            best_buffers={name: buffer.clone() for name, buffer in buffers.items()},
            histories=[[] for _ in seeds],
            seconds=[0.0] * replicas,
            errors=[None] * replicas,
        )

    def best(self, name: str, higher_is_better: bool) -> list[float]:
        """The best value so far of a column of the history, for each replica."""
        best = max if higher_is_better else min
        return [best(record[name] for record in history) for history in self.histories]

    def end_epoch(
        self,
        columns: Mapping[str, Tensor],
        score: Tensor,
        predictions: Mapping[str, Tensor],
        higher_is_better: bool,
        config: TrainerConfig,
    ) -> None:
        """Take note of an epoch.

        columns: losses and scores by name, [R] each; score: the one that schedule and early stopping watch.
        predictions: the outputs by part of the split, [R, graphs, C].
        """
        self.epoch += 1
        values = {"learning_rate": self.learning_rate.tolist()} | {n: column.tolist() for n, column in columns.items()}
        for r, history in enumerate(self.histories):
            record = {name: column[r] for name, column in values.items()}
            history.append({"epoch": self.epoch} | record)
            broken = ", ".join(name for name, value in record.items() if not math.isfinite(value))
            if broken:
                self.errors[r] = f"Training diverged in epoch {self.epoch}: {broken} is not a finite number."
        score = score.to(self.best_score)
        gain = (config.least_gain or 0.0) * (1 if higher_is_better else -1)
        better = is_better(score, self.best_score + gain, higher_is_better)
        if self.epoch < (config.compare_from or 1):
            better = torch.ones_like(better)
        self._note_best(better, score, predictions)
        self.learning_rate, self.plateau_best, self.plateau_waited = next_rate(
            self.learning_rate, self.plateau_best, self.plateau_waited, score, higher_is_better, config
        )

    def _note_best(self, better: Tensor, score: Tensor, predictions: Mapping[str, Tensor]) -> None:
        """Keep what belongs to this epoch for the replicas whose best one it is. better: bool [R]."""
        self.best_epoch[better] = self.epoch
        self.best_score[better] = score[better]
        self.best_parameters[better] = self.parameters[better]
        for name, buffer in self.buffers.items():
            self.best_buffers[name][better] = buffer[better]
        rows = better.cpu()
        for part, prediction in predictions.items():
            # Nothing that looks like a prediction where there is no best epoch yet.
            kept = self.best_predictions.setdefault(part, torch.full_like(prediction, math.nan, device="cpu"))
            kept[rows] = prediction.cpu()[rows]

    def finished(self, config: TrainerConfig) -> list[bool]:
        """Which replicas have failed, have run out of patience or have seen all epochs."""
        waited = [self.epoch - best for best in self.best_epoch.tolist()]
        return [
            error is not None or epochs >= config.stop_patience or self.epoch >= config.max_epochs
            for error, epochs in zip(self.errors, waited, strict=True)
        ]

    def keep(self, replicas: Sequence[int]) -> None:
        """Go on with these replicas only."""
        for entry in fields(self):
            if entry.name != "epoch":
                setattr(self, entry.name, _rows(getattr(self, entry.name), list(replicas)))

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and texts in lists and dicts, as `torch.save` takes them: the state's own, see `copied`."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    def load_state_dict(self, saved: Mapping[str, Any], predicted: Mapping[str, Sequence[int]]) -> None:
        """Take over a copy of what `state_dict` gave, on this state's device; this one is as `start` made it.

        predicted: see `check_saved`. Raises UserError, and takes over nothing, if it is not of the same replicas of
        the same network.
        """
        check_saved(saved, self, predicted)
        device = self.parameters.device
        copies = {
            entry.name: copied(saved[entry.name], torch.device("cpu") if entry.name == "best_predictions" else device)
            for entry in fields(self)
        }
        for name, value in copies.items():
            setattr(self, name, value)


def _rows(value: Any, replicas: list[int]) -> Any:
    if isinstance(value, dict):
        return {name: _rows(part, replicas) for name, part in value.items()}
    return value[replicas] if isinstance(value, Tensor) else [value[r] for r in replicas]


def copied(value: Any, device: torch.device) -> Any:
    """Copies of all tensors in lists and dicts, on a device, and of the lists and dicts that hold them."""
    if isinstance(value, dict):
        return {name: copied(part, device) for name, part in value.items()}
    if isinstance(value, list):
        return [copied(part, device) for part in value]
    return value.to(device, copy=True) if isinstance(value, Tensor) else value
