"""Trains a group of replicas: the loop over epochs and steps."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from rethinking.data.batches import Batch, Batches
from rethinking.data.dataset import GraphDataset
from rethinking.data.split import Split
from rethinking.models.layers import Output, initialise
from rethinking.pooling.topology import Topology
from rethinking.randomness import stream, stream_keys
from rethinking.training.parameters import ReplicaParameters
from rethinking.training.replica import Replica, TrainerConfig
from rethinking.training.task import Task


class Network(Protocol):
    """What the engine asks of a family, beside being an `nn.Module` with parameters [R, …]."""

    def prepare(self, topology: Topology, keys: np.ndarray) -> Any:
        """What does not depend on weights, drawn before the step. keys: uint64 [R·B]."""
        ...

    def __call__(self, x: Tensor, prepared: Any) -> Output:
        """x: [R, N, F]. Returns the predictions [R, B, out], and weighted auxiliary losses by name, [R] each."""
        ...


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
) -> Iterator[Replica]:
    """Train one replica a seed, together, and yield each one as soon as it is done.

    build: makes the network for a number of replicas. splits: one a seed, of equal sizes.
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
            replica.end_epoch(record, record[f"val_{task.metric}"])
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
        self.parameters = ReplicaParameters(network)
        self.replicas = [
            Replica.start(seed, row, config) for seed, row in zip(seeds, self.parameters.rows, strict=True)
        ]
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
        order = np.stack(
            [
                stream(replica.seed, "order", epoch).permutation(split.train)
                for replica, split in zip(self.replicas, self.splits, strict=True)
            ]
        )
        keys = stream_keys(self.seeds, "matching", "train", epoch)
        total = torch.zeros(len(order), dtype=torch.float64, device=self.parameters.values.device)
        self.network.train()
        for batch in self.batches(order, self.config.batch_size, keys):
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
        return (total / order.shape[1]).cpu()

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

    def _predict(self, batch: Batch) -> Output:
        network = cast(Network, self.network)
        return network(batch.x, network.prepare(batch.topology, batch.keys))

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
            for replica, row in zip(self.replicas, self.parameters.rows, strict=True):
                replica.move_to(row)
        return done
