"""Trains a group of replicas: the loop over epochs and steps."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from rethinking import capture
from rethinking.data.batches import Batch, Batches
from rethinking.data.dataset import GraphDataset
from rethinking.data.split import Split
from rethinking.errors import UserError
from rethinking.graphs.levels import SparseLevel
from rethinking.layers.initial import initialise
from rethinking.models.family import Output, Phase, phases_of
from rethinking.randomness import stream, stream_keys
from rethinking.tasks.task import Task
from rethinking.training.captured import CapturedSteps
from rethinking.training.optimiser import adam_step
from rethinking.training.parameters import ParameterRows
from rethinking.training.saved import seeds_of
from rethinking.training.settings import TrainerConfig
from rethinking.training.sizes import evaluated_at_once
from rethinking.training.state import GroupState, Replica
from rethinking.training.step import Moving, supervised_step


def train_group(
    build: Callable[[int], nn.Module],
    dataset: GraphDataset,
    splits: Sequence[Split],
    seeds: Sequence[int],
    task: Task,
    config: TrainerConfig,
    evaluation_batch_size: int | None,
    device: torch.device,
    on_epoch: Callable[[GroupState], None],
    save_weights: bool = False,
    resume: Mapping[str, Any] | None = None,
) -> Iterator[Replica]:
    """Train one replica a seed, together, and yield each one as soon as it is done.

    build: makes the network for a number of replicas. splits: one a seed, of equal sizes.
    evaluation_batch_size: graphs of each replica at a time; None for as many as are worth it.
    save_weights: let each replica have its `weights` at the end, those that `config.saved_weights` says.
    resume: go on from here, a state's `state_dict()` as `on_epoch` saw it; its seeds are some of `seeds`. On a CPU
    all numbers are then, to the bit, those of a training that was not interrupted.
    A replica's numbers equal those of its seed trained alone, up to the order of summation.
    A replica whose loss is not finite is yielded with its `error` set; the others go on.
    Raises ValueError if the splits differ in size, UserError if `resume` is damaged or does not fit.
    """
    if len({tuple(map(len, (split.train, split.val, split.test))) for split in splits}) > 1:
        raise ValueError("the splits of a group need equal sizes, so that all replicas take the same steps")
    split_of = dict(zip(seeds, splits, strict=True))
    training = list(seeds) if resume is None else list(seeds_of(resume))
    if not split_of.keys() >= set(training):
        raise UserError(f"expected a saved state of some of the seeds {list(seeds)}, got one of {training}")
    network = build(len(training))
    initialise(network, training)
    together = [split_of[seed] for seed in training]
    group = ReplicaGroup(network.to(device), dataset, together, training, task, config, device)
    if resume is not None:
        group.resume(resume)
    while True:
        # First, as those who were done in the epoch that is resumed have not been yielded.
        yield from group.release(save_weights)
        if not group.seeds:
            return
        started = time.perf_counter()
        group.run_epoch(evaluation_batch_size)
        share = (time.perf_counter() - started) / len(group.seeds)
        group.state.seconds = [seconds + share for seconds in group.state.seconds]
        on_epoch(group.state)


class ReplicaGroup:
    """A network of R replicas, and the state that it trains."""

    def __init__(
        self,
        network: nn.Module,
        dataset: GraphDataset,
        splits: Sequence[Split],
        seeds: Sequence[int],
        task: Task,
        config: TrainerConfig,
        device: torch.device,
    ) -> None:
        self.network = network
        self.phases = phases_of(network)
        self.rows = ParameterRows(network)
        names = [phase.name for phase in self.phases]
        self.watched, self.higher_is_better = config.watch(task.metric, task.higher_is_better)
        self.state = GroupState.start(
            seeds, self.rows.copy(), self._buffers(), names, config.learning_rate, self.higher_is_better
        )
        self.grads = self.rows.bind(self.state.parameters, self.state.buffers)
        self.splits = list(splits)
        self.batches = Batches(replace(dataset, y=task.targets(dataset)), device)
        self.task = task
        self.config = config
        self._captured = None
        if capture.pays(device):
            self._captured = CapturedSteps(network, self.rows, self.batches, task, config.gradient_clip)

    @property
    def seeds(self) -> list[int]:
        """The seeds that still train."""
        return self.state.seeds

    def resume(self, saved: Mapping[str, Any]) -> None:
        """Go on from a state of the same seeds; raises UserError for another."""
        outputs = self.task.out_features(self.batches.dataset)
        predicted = {part: (len(getattr(self.splits[0], part)), outputs) for part in ("val", "test")}
        self.state.load_state_dict(saved, predicted)
        self.grads = self.rows.bind(self.state.parameters, self.state.buffers)

    def run_epoch(self, evaluation_batch_size: int | None) -> None:
        """Train for an epoch, evaluate, and note it in the state."""
        epoch = self.state.epoch + 1
        losses = {"train_loss": self.train(epoch)}
        scores, predictions = {}, {}
        for part in ("val", "test"):
            prediction, y = self.predict(part, epoch, evaluation_batch_size)
            losses[f"{part}_loss"] = self.task.loss(prediction, y)
            scores[f"{part}_{self.task.metric}"] = self.task.score(prediction, y)
            predictions[part] = prediction
        # A layer may have put a new tensor in the place of a buffer.
        self.state.buffers = self._buffers()
        columns = losses | scores
        self.state.end_epoch(columns, columns[self.watched], predictions, self.higher_is_better, self.config)

    def phase(self, epoch: int) -> Phase:
        """The phase that an epoch is of."""
        return next(phase for phase in reversed(self.phases) if epoch % phase.period == 0)

    def train(self, epoch: int) -> Tensor:
        """One pass over the training graphs. Returns the mean supervised loss of each replica, [R]."""
        phase = self.phase(epoch)
        moved = set(phase.moves)
        for parameter in self.network.parameters():
            parameter.requires_grad_(parameter in moved)
        self.grads.zero_()
        steps = self._supervised_steps if phase.losses is None else self._summed_step
        total = torch.zeros(len(self.seeds), dtype=torch.float64, device=self.grads.device)
        for loss, graphs in steps(epoch, phase):
            total += loss * graphs
        return total / len(self.splits[0].train)

    def _supervised_steps(self, epoch: int, phase: Phase) -> Iterator[tuple[Tensor, int]]:
        """A step a batch. Yields the supervised loss of each replica, [R], and the number of graphs it is a mean of."""
        self.network.train()
        captured, clip = self._captured, self.config.gradient_clip
        if captured is not None and captured.impossible is None:
            try:
                yield from captured.epoch(self.state, *self._training_order(epoch), phase)
            finally:
                self.grads = self.rows.bind(self.state.parameters, self.state.buffers)
            return
        moving = Moving(self.state.parameters, self.grads, self.state.moments[phase.name], self.state.learning_rate)
        for batch in self._training_batches(epoch):
            loss = supervised_step(self.network, self.task, batch.x, batch.y, batch.level, moving, clip)
            yield loss, batch.y.shape[1]

    def _summed_step(self, epoch: int, phase: Phase) -> Iterator[tuple[Tensor, int]]:
        """One step on the phase's own losses, summed over all training graphs. Yields as `_supervised_steps`."""
        losses_of = cast(Callable[[Tensor, SparseLevel], Output], phase.losses)
        # Nothing but the parameters of this step changes: no running statistics either.
        self.network.eval()
        for batch in self._training_batches(epoch):
            prediction, losses = losses_of(batch.x, batch.level)
            torch.stack(list(losses.values())).sum().backward()
            yield self.task.loss(prediction.detach(), batch.y), batch.y.shape[1]
        rates = torch.full_like(self.state.learning_rate, self.config.learning_rate)
        # What the phase does not move has neither gradient nor moments, and stays.
        adam_step(self.state.parameters, self.grads, **self.state.moments[phase.name], rates=rates)

    def _training_batches(self, epoch: int) -> Iterator[Batch]:
        return self.batches(*self._training_order(epoch))

    def _training_order(self, epoch: int) -> tuple[np.ndarray, int, np.ndarray]:
        """What `Batches` cuts: the graphs of each replica in their order, how many at a time, and its stream."""
        order = np.stack(
            [
                stream(seed, "order", epoch).permutation(split.train)
                for seed, split in zip(self.seeds, self.splits, strict=True)
            ]
        )
        keys = stream_keys(self.seeds, "matching", "train", epoch)
        return order, self.config.batch_size, keys

    @torch.no_grad()
    def predict(self, part: str, epoch: int, batch_size: int | None) -> tuple[Tensor, Tensor]:
        """The network's outputs for one part of each replica's split, [R, graphs, C], and the targets, [R, graphs]."""
        batch_size = batch_size or evaluated_at_once(self.network, self.batches.dataset, len(self.seeds))
        graphs = np.stack([getattr(split, part) for split in self.splits])
        keys = stream_keys(self.seeds, "matching", part, epoch)
        self.network.eval()
        batches = [(self._predict(batch)[0], batch.y) for batch in self.batches(graphs, batch_size, keys)]
        predictions, targets = zip(*batches, strict=True)
        return torch.cat(predictions, dim=1), torch.cat(targets, dim=1)

    def evaluate(self, part: str, epoch: int, batch_size: int | None) -> tuple[Tensor, Tensor]:
        """The loss and the metric of each replica on one part of its split, [R] each."""
        prediction, y = self.predict(part, epoch, batch_size)
        return self.task.loss(prediction, y).cpu(), self.task.score(prediction, y).cpu()

    def _predict(self, batch: Batch) -> Output:
        return self.network(batch.x, batch.level)

    def _buffers(self) -> dict[str, Tensor]:
        return dict(self.network.named_buffers(remove_duplicate=False))

    def release(self, with_weights: bool) -> list[Replica]:
        """Let the finished replicas leave the group; with_weights: and take along those to be saved."""
        going = self.state.finished(self.config)
        if not any(going):
            return []
        done = [self._replica(r, with_weights) for r, gone in enumerate(going) if gone]
        kept = [r for r, gone in enumerate(going) if not gone]
        self.splits = [self.splits[r] for r in kept]
        self.state.keep(kept)
        if kept:
            self.grads = self.rows.bind(self.state.parameters, self.state.buffers)
        return done

    def _replica(self, r: int, with_weights: bool) -> Replica:
        state = self.state
        best_epoch = int(state.best_epoch[r])
        weights_epoch = self.config.weights_epoch(best_epoch, len(state.histories[r]))
        saved = (state.best_parameters, state.best_buffers)
        if weights_epoch != best_epoch:
            saved = (state.parameters, state.buffers)
        return Replica(
            seed=state.seeds[r],
            history=state.histories[r],
            best_epoch=best_epoch,
            weights_epoch=weights_epoch,
            seconds=state.seconds[r],
            weights=self.rows.network_state(*saved, r) if with_weights else None,
            predictions={part: rows[r].clone() for part, rows in state.best_predictions.items()},
            error=state.errors[r],
        )
