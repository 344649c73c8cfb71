"""Training steps of fixed shapes, recorded once and run again (`rethinking/capture.py`).

The replicas of a group have slots here, which keep their addresses; a replica that leaves the group leaves a slot that
is gone, and is trained on without effect until half of them are. The state of the group is copied into the slots before
an epoch, and back after it, so nothing else knows of them.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from rethinking import capture
from rethinking.ahead import ahead
from rethinking.data.batches import Batches, look_up
from rethinking.dry_run import META, needs_host
from rethinking.graphs.fixed import Layout
from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.padded import Room, Rooms
from rethinking.models.family import Output, Phase
from rethinking.pooling.drawn import draw, drawn_pools, level_of
from rethinking.tasks.task import Task
from rethinking.training.parameters import ParameterRows
from rethinking.training.state import GroupState
from rethinking.training.step import Moving, supervised_step

# Steps that are drawn and laid out before their turn, and the share of slots that must be in use.
DEPTH, IN_USE = 4, 0.5

CPU = torch.device("cpu")


@dataclass(frozen=True)
class FixedBatch:
    """A batch as one array of whole numbers. shape: what its step was recorded for. flat: int64, by `layout`."""

    replicas: int
    graphs: int
    room: tuple[Room, ...]
    layout: Layout
    flat: np.ndarray

    @property
    def shape(self) -> tuple[int, tuple[Room, ...]]:
        """By which a recorded step is known again."""
        return self.graphs, self.room


class Slots:
    """Copies, at fixed addresses, of what a group trains. seeds: of each slot; see `GroupState` for the tensors."""

    def __init__(self, state: GroupState) -> None:
        self.seeds = list(state.seeds)
        self.buffers = {name: buffer.clone() for name, buffer in state.buffers.items()}
        first = next(iter(state.moments.values()))
        self.moving = Moving(
            parameters=state.parameters.clone(),
            grads=torch.zeros_like(state.parameters),
            moments={name: tensor.clone() for name, tensor in first.items()},
            rates=torch.zeros_like(state.learning_rate),
            gone=torch.zeros_like(state.learning_rate, dtype=torch.bool),
        )

    def lives(self, state: GroupState) -> list[int]:
        """The slot of each replica of the group."""
        return [self.seeds.index(seed) for seed in state.seeds]

    def take(self, state: GroupState, phase: Phase) -> None:
        """Copy the state of the group into the slots; all others are gone."""
        live = self._rows(state)
        self.moving.rates.zero_().index_copy_(0, live, state.learning_rate)
        self.moving.gone.fill_(True).index_fill_(0, live, False)  # type: ignore[union-attr]
        for slots, rows in self._pairs(state, phase):
            slots.index_copy_(0, live, rows)

    def give(self, state: GroupState, phase: Phase) -> None:
        """Copy them back."""
        live = self._rows(state)
        for slots, rows in self._pairs(state, phase):
            rows.copy_(slots.index_select(0, live))

    @property
    def changed(self) -> list[Tensor]:
        """All that a step changes."""
        moving = self.moving
        return [moving.parameters, moving.grads, *moving.moments.values(), *self.buffers.values()]

    def _rows(self, state: GroupState) -> Tensor:
        return torch.tensor(self.lives(state), device=state.parameters.device)

    def _pairs(self, state: GroupState, phase: Phase) -> list[tuple[Tensor, Tensor]]:
        moments = state.moments[phase.name]
        pairs = [(self.moving.parameters, state.parameters)]
        pairs += [(self.moving.moments[name], moments[name]) for name in moments]
        return pairs + [(self.buffers[name], state.buffers[name]) for name in self.buffers]


class CapturedSteps:
    """The supervised steps of a group of replicas, recorded by their shape."""

    def __init__(
        self, network: nn.Module, rows: ParameterRows, batches: Batches, task: Task, gradient_clip: float | None
    ) -> None:
        self.network = network
        self.rows = rows
        self.batches = batches
        self.task = task
        self.gradient_clip = gradient_clip
        self._pools = drawn_pools(network)
        self._rooms = Rooms()
        self._slots: Slots | None = None
        self._recorded: dict[object, RecordedStep] = {}
        self._pool: Any = None

    @cached_property
    def impossible(self) -> str | None:
        """Why the network's steps cannot be recorded; None if they can. Found without running one on the device."""
        replicas = len(next(self.network.parameters()))
        graphs = np.zeros((replicas, 1), np.int64)
        try:
            batch = self._fixed(graphs, np.zeros(replicas, np.uint64))
            empty = torch.empty(batch.layout.length, dtype=torch.long, device=META)
            x, y, level = self._unpacked(batch, empty, self.batches.x.to(META), self.batches.y.to(META))
            values = {
                name: torch.empty_like(value, device=META).requires_grad_(isinstance(value, nn.Parameter))
                for name, value in [*self.network.named_parameters(), *self.network.named_buffers()]
            }
            wide, each = torch.empty(replicas, 1, device=META), torch.empty(replicas, device=META)
            moments = {"first": wide.clone(), "second": wide.clone(), "steps": each.double()}
            moving = Moving(wide, wide.clone(), moments, each.double(), each.bool())
            network = partial(functional_call, self.network, values)

            def step() -> None:
                def forward(*inputs: object) -> Output:
                    return network(inputs)

                supervised_step(forward, self.task, x, y, level, moving, self.gradient_clip)

            return needs_host(step)
        except Exception as error:  # Of the network's own; where it is a mistake, it comes up in training too.
            return f"{type(error).__name__}: {error}"

    def epoch(
        self, state: GroupState, order: np.ndarray, size: int, keys: np.ndarray, phase: Phase
    ) -> Iterator[tuple[Tensor, int]]:
        """A step for each `size` graphs of `order`, int64 [R, M], in turn; keys: uint64 [R], as for `Batches`.

        Yields the task's loss of each replica, [R], and the number of graphs. The network is as in training, and after
        this, or if it is left, it has to be bound to the state again.
        """
        slots = self._bound(state, phase)
        live = slots.lives(state)
        # A slot that is gone sees what the first replica sees.
        seen = [live.index(slot) if slot in live else 0 for slot in range(len(slots.seeds))]
        index = torch.tensor(live, device=state.parameters.device)
        batches = (
            self._fixed(order[seen, first : first + size], keys[seen]) for first in range(0, order.shape[1], size)
        )
        with closing(ahead(batches, DEPTH)) as next_ones:
            for batch in next_ones:
                key = (phase.name, batch.shape)
                if key not in self._recorded:
                    self._recorded[key] = RecordedStep(self, batch, slots, self._pool)
                yield self._recorded[key](batch).index_select(0, index), batch.graphs
        slots.give(state, phase)

    def _bound(self, state: GroupState, phase: Phase) -> Slots:
        """The slots, with the state of the group in them, and the network bound to them."""
        slots = self._slots
        if slots is None or len(state.seeds) <= IN_USE * len(slots.seeds):
            slots = self._slots = Slots(state)
            self._recorded.clear()
            self._pool = capture.new_pool(state.parameters.device)
        slots.take(state, phase)
        self.rows.bind(slots.moving.parameters, slots.buffers, slots.moving.grads)
        return slots

    def _fixed(self, graphs: np.ndarray, keys: np.ndarray) -> FixedBatch:
        """A batch with all that can be drawn of it. graphs: int64 [R, B]. keys: uint64 [R]."""
        level, nodes = self.batches.level(graphs, keys, CPU)
        chain = draw(self._pools, level)
        room = self._rooms.fit(graphs.shape[1], chain.room)
        # Padding rows have the data set's last row, of zeros.
        rows = np.full((len(graphs), room[0].width), len(self.batches.dataset.x))
        rows[:, : level.topology.width] = nodes.reshape(len(graphs), -1)
        arrays = {"nodes": rows.ravel(), "graphs": graphs, **chain.arrays(room)}
        layout = Layout.of(arrays)
        return FixedBatch(len(graphs), graphs.shape[1], room, layout, layout.join(arrays))

    def _unpacked(self, batch: FixedBatch, flat: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, SparseLevel]:
        """x, y and the level of whatever batch of that shape lies in `flat`. x, y: of the data set."""
        arrays = batch.layout.split(flat)
        level = level_of(self._pools, arrays, batch.replicas, batch.room, flat.device)
        return *look_up(x, y, arrays["nodes"], arrays["graphs"]), level


class RecordedStep:
    """A supervised step on batches of one shape. Called with a batch, it returns the task's loss, [slots]."""

    def __init__(self, steps: CapturedSteps, batch: FixedBatch, slots: Slots, pool: Any) -> None:
        parameters = slots.moving.parameters
        self._flat = torch.empty(batch.layout.length, dtype=torch.long, device=parameters.device)
        self._loss = torch.zeros(len(parameters), dtype=parameters.dtype, device=parameters.device)
        capture.send(batch.flat, self._flat)
        step = partial(self._step, steps, batch, slots)
        self._run = capture.record(step, [*slots.changed, self._loss], [self._loss, slots.moving.grads], pool)

    def __call__(self, batch: FixedBatch) -> Tensor:
        """See the class."""
        capture.send(batch.flat, self._flat)
        self._run()
        return self._loss.clone()

    def _step(self, steps: CapturedSteps, batch: FixedBatch, slots: Slots) -> None:
        x, y, level = steps._unpacked(batch, self._flat, steps.batches.x, steps.batches.y)
        loss = supervised_step(steps.network, steps.task, x, y, level, slots.moving, steps.gradient_clip)
        self._loss.copy_(loss)
