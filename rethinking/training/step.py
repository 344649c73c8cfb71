"""A supervised step: forward, loss, backward, Adam. Nothing in it asks the device for a number."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from rethinking.graphs.levels import SparseLevel
from rethinking.models.family import Output
from rethinking.tasks.task import Task
from rethinking.training.optimiser import adam_step, clip


@dataclass(frozen=True)
class Moving:
    """What a step moves, in place, and by how much.

    parameters, grads: [R, P]; the network's are views of them. moments: see `adam_step`. rates: [R], double.
    gone: bool [R], replicas that stay as they are; None where there are none.
    """

    parameters: Tensor
    grads: Tensor
    moments: dict[str, Tensor]
    rates: Tensor
    gone: Tensor | None = None


def supervised_step(
    network: Callable[[Tensor, SparseLevel], Output],
    task: Task,
    x: Tensor,
    y: Tensor,
    level: SparseLevel,
    moving: Moving,
    gradient_clip: float | None,
) -> Tensor:
    """One step on the task's loss and the network's auxiliary losses. Returns the task's loss, [R]."""
    prediction, auxiliary = network(x, level)
    loss = task.loss(prediction, y)
    moving.grads.zero_()
    # Replicas share no parameter, so the gradient of the sum is each one's own.
    sum(auxiliary.values(), loss).sum().backward()
    if moving.gone is not None:
        moving.grads.masked_fill_(moving.gone[:, None], 0)
    if gradient_clip is not None:
        clip(moving.grads, gradient_clip)
    # What a phase does not move has neither gradient nor moments, and stays.
    adam_step(moving.parameters, moving.grads, **moving.moments, rates=moving.rates)
    return loss.detach()
