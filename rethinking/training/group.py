"""Trains a group of replicas: the loop over epochs and steps."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam

from rethinking.data.batches import Batch, Batches
from rethinking.data.dataset import GraphDataset
from rethinking.data.split import Split
from rethinking.layers.initial import initialise
from rethinking.models.alternating import Alternating
from rethinking.models.family import Output
from rethinking.randomness import stream, stream_keys
from rethinking.tasks.task import Task
from rethinking.training.parameters import ReplicaParameters
from rethinking.training.replica import Replica, TrainerConfig


def train_group(
    build: Callable[[int], nn.Module],
    dataset: GraphDataset,
    splits: Sequence[Split],
    seeds: Sequence[int],
    task: Task,
    config: TrainerConfig,
    evaluation_batch_size: int,
    device: torch.device,
    on_epoch: Callable[[Sequence[Replica]], None],
    save_weights: bool = False,
) -> Iterator[Replica]:
    """Train one replica a seed, together, and yield each one as soon as it is done.

    build: makes the network for a number of replicas. splits: one a seed, of equal sizes.
    save_weights: let each replica have its `weights` at the end, those that `config.saved_weights` says.
    A replica's numbers equal those of its seed trained alone, up to the order of summation.
    A replica whose loss is not finite is yielded with its `error` set; the others go on.
    Raises ValueError if the splits differ in size.
    """
    if len({tuple(map(len, (split.train, split.val, split.test))) for split in splits}) > 1:
        raise ValueError("the splits of a group need equal sizes, so that all replicas take the same steps")
    network = build(len(seeds))
    initialise(network, seeds)
    group = ReplicaGroup(network.to(device), dataset, splits, seeds, task, config, device)
    while group.replicas:
        started = time.perf_counter()
        epoch = len(group.replicas[0].history) + 1
        losses = {"train_loss": group.train(epoch)}
        scores = {}
        for part in ("val", "test"):
            losses[f"{part}_loss"], scores[f"{part}_{task.metric}"] = group.evaluate(part, epoch, evaluation_batch_size)
        share = (time.perf_counter() - started) / len(group.replicas)
        for r, replica in enumerate(group.replicas):
            record = {name: float(values[r]) for name, values in (losses | scores).items()}
            record = {"epoch": epoch, "learning_rate": replica.learning_rate} | record
            score = record[f"val_{task.metric}"]
            replica.end_epoch(record, score if task.higher_is_better else -score, config)
            if save_weights and (replica.best_epoch == epoch or config.saved_weights == "last"):
                replica.weights = group.weights(r)
            replica.seconds += share
        on_epoch(group.replicas)
        yield from group.release()


class ReplicaGroup:
    """The replicas that still train, with all that has an entry for each of them."""

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
        # Families that learn from a loss of their own in every period-th epoch.
        self.alternating = network if isinstance(network, Alternating) and network.period else None
        self.parameters = ReplicaParameters(network, self.alternating.own_parameters if self.alternating else ())
        rows = zip(self.parameters.rows, self._unsupervised_rows(), strict=True)
        self.replicas = [Replica.start(seed, row, config, own) for seed, (row, own) in zip(seeds, rows, strict=True)]
        self.splits = list(splits)
        self.batches = Batches(dataset, device)
        self.task = task
        self.config = config

    @property
    def seeds(self) -> list[int]:
        """The seeds that still train."""
        return [replica.seed for replica in self.replicas]

    def train(self, epoch: int) -> Tensor:
        """One pass over the training graphs. Returns the mean supervised loss of each replica, [R]."""
        if self.alternating and epoch % self.alternating.period == 0:
            return self._train_unsupervised(epoch)
        total = torch.zeros(len(self.replicas), dtype=torch.float64, device=self.parameters.values.device)
        self.parameters.train_only(apart=False)
        self.network.train()
        for batch in self._training_batches(epoch):
            prediction, auxiliary = self._predict(batch)
            loss = self.task.loss(prediction, batch.y)
            self.parameters.zero_grad()
            # Replicas share no parameter, so the gradient of the sum is each one's own.
            sum(auxiliary.values(), loss).sum().backward()
            if self.config.gradient_clip is not None:
                self.parameters.clip(self.config.gradient_clip)
            for replica in self.replicas:
                replica.optimizer.step()
            total += loss.detach() * batch.y.shape[1]
        return (total / len(self.splits[0].train)).cpu()

    def _train_unsupervised(self, epoch: int) -> Tensor:
        """One step on the family's own loss, summed over all training graphs. Returns the supervised loss, [R]."""
        family = cast(Alternating, self.alternating)
        total = torch.zeros(len(self.replicas), dtype=torch.float64, device=self.parameters.values.device)
        self.parameters.train_only(apart=family.trains_own)
        self.parameters.zero_grad()
        # Nothing but the parameters of this step changes: no running statistics either.
        self.network.eval()
        for batch in self._training_batches(epoch):
            prediction, losses = family.unsupervised(batch.x, batch.level)
            torch.stack(list(losses.values())).sum().backward()
            total += self.task.loss(prediction.detach(), batch.y) * batch.y.shape[1]
        for replica in self.replicas:
            cast(Adam, replica.unsupervised_optimizer).step()
        return (total / len(self.splits[0].train)).cpu()

    def _training_batches(self, epoch: int) -> Iterator[Batch]:
        order = np.stack(
            [
                stream(replica.seed, "order", epoch).permutation(split.train)
                for replica, split in zip(self.replicas, self.splits, strict=True)
            ]
        )
        keys = stream_keys(self.seeds, "matching", "train", epoch)
        return self.batches(order, self.config.batch_size, keys)

    def _unsupervised_rows(self) -> Sequence[nn.Parameter | None]:
        """What the unsupervised steps of each replica train."""
        if self.alternating is None:
            return [None] * len(self.parameters.rows)
        return self.parameters.apart_rows if self.alternating.trains_own else self.parameters.rows

    @torch.no_grad()
    def evaluate(self, part: str, epoch: int, batch_size: int) -> tuple[Tensor, Tensor]:
        """The loss and the metric of each replica on one part of its split, [R] each."""
        graphs = np.stack([getattr(split, part) for split in self.splits])
        keys = stream_keys(self.seeds, "matching", part, epoch)
        self.network.eval()
        predictions, targets = [], []
        for batch in self.batches(graphs, batch_size, keys):
            predictions.append(self._predict(batch)[0])
            targets.append(batch.y)
        prediction, y = torch.cat(predictions, dim=1), torch.cat(targets, dim=1)
        return self.task.loss(prediction, y).cpu(), self.task.score(prediction, y).cpu()

    def weights(self, replica: int) -> dict[str, Tensor]:
        """A copy of one replica's parameters and buffers, as the state of a network with one replica."""
        state = self.network.state_dict()
        return {name: value[replica : replica + 1].clone().cpu() for name, value in state.items()}

    def _predict(self, batch: Batch) -> Output:
        return self.network(batch.x, batch.level)

    def release(self) -> list[Replica]:
        """Let the finished replicas leave the group."""
        going = [replica.finished(self.config) for replica in self.replicas]
        if not any(going):
            return []
        done = [replica for replica, gone in zip(self.replicas, going, strict=True) if gone]
        kept = [r for r, gone in enumerate(going) if not gone]
        self.replicas = [self.replicas[r] for r in kept]
        self.splits = [self.splits[r] for r in kept]
        if kept:
            self.parameters.keep(kept)
            rows = zip(self.parameters.rows, self._unsupervised_rows(), strict=True)
            for replica, (row, own) in zip(self.replicas, rows, strict=True):
                replica.move_to(row, own)
        return done
