"""R copies of an ordinary module, which knows nothing of the replica axis: called for one replica at a time."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from rethinking.layers.initial import InitialDraw, ReplicaLayer
from rethinking.randomness import generators_follow


class Copies(ReplicaLayer):
    """The weights of R modules that `make()` makes, [R, …] each.

    A module must draw its initial weights by torch's or NumPy's generator when it is made. What it draws later
    (dropout) follows from the seed of a call. What else it keeps, in attributes that are neither parameters nor
    buffers, is its replica's own if a layer says which that is (`name_of`), and is not saved.
    """

    def __init__(self, replicas: int, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self._make = make
        # In a list, so that it is not a submodule: it lends its form, the weights are ours. Those it has at first are
        # the same every time, as one may look at what it does with them.
        with generators_follow(0):
            self._template = [make()]
        # As they were made for each replica, by its name; like the template, they lend what is no weight.
        self._modules_made: dict[int, nn.Module] = {}
        for name, value in self.template.named_parameters():
            self.register_parameter(_flat(name), nn.Parameter(value.detach().repeat(replicas, *[1] * value.dim())))
        for name, buffer in self.template.named_buffers():
            self.register_buffer(_flat(name), buffer.detach().repeat(replicas, *[1] * buffer.dim()))

    @property
    def template(self) -> nn.Module:
        """A module as they all are; what its weights are means nothing."""
        return self._template[0]

    @torch.no_grad()
    def reset(self, draw: InitialDraw) -> None:
        """Each replica as the module is made under its own seed."""
        made = []
        for replica, seed in enumerate(draw.torch_seeds()):
            with generators_follow(seed):
                made.append(self._make())
            for name, value in _state(made[-1]):
                self.get_parameter_or_buffer(name)[replica] = value
        self.know(draw)
        self._modules_made = {self.name_of(replica): module for replica, module in enumerate(made)}

    def know(self, draw: InitialDraw) -> None:
        """Draw what `name_of` goes by."""

    def name_of(self, replica: int) -> int:
        """What stays a replica's own when others leave the group; the same for all where nobody says."""
        return 0

    def get_parameter_or_buffer(self, name: str) -> Tensor:
        """The stacked values [R, …] of the module's parameter or buffer of that name."""
        return getattr(self, _flat(name))

    def call(self, replica: int, seed: int, *arguments: Any) -> Any:
        """What the module of one replica returns. seed: of what it draws."""
        module = self._modules_made.get(self.name_of(replica), self.template)
        module.train(self.training)
        state = {name: self.get_parameter_or_buffer(name)[replica] for name, _ in _state(module)}
        with generators_follow(seed):
            return functional_call(module, state, arguments)


def _flat(name: str) -> str:
    return name.replace(".", "__")


def _state(module: nn.Module) -> Sequence[tuple[str, Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]
