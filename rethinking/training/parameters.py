"""The parameters [R, …] of a network in one tensor [R, P], a row a replica, so that a replica can be taken out."""

import warnings

import torch
from torch import Tensor, nn

# A view of a wider tensor is not "dense"; that costs nothing here.
warnings.filterwarnings("ignore", message="grad and param do not obey the gradient layout contract")


class ParameterRows:
    """The places of a network's parameters in a row, in the order of `network.parameters()`."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        ends = torch.tensor([parameter[0].numel() for parameter in network.parameters()]).cumsum(0).tolist()
        self._columns = dict(zip(network.parameters(), map(slice, [0, *ends], ends), strict=False))

    def copy(self) -> Tensor:
        """The parameters as they are, [R, P]."""
        return torch.cat([parameter.detach().flatten(1) for parameter in self._columns], dim=1)

    def bind(self, values: Tensor, buffers: dict[str, Tensor], grads: Tensor | None = None) -> Tensor:
        """Let the network's parameters be views of `values` [R, P], and its buffers these, [R, …] each.

        Returns the gradients, [R, P], to which backward passes add: those given, or new ones of zero.
        """
        grads = torch.zeros_like(values) if grads is None else grads
        for parameter, columns in self._columns.items():
            shape = (len(values), *parameter.shape[1:])
            # As long as anything holds the graph of an older step (frames in an exception that was caught, say), torch
            # keeps the old shape for the gradient; of another type it forgets it.
            parameter.data = parameter.new_empty(0, dtype=torch.half)
            parameter.data = values[:, columns].view(shape)
            # Autograd adds into a gradient that is there already.
            parameter.grad = grads[:, columns].view(shape)
        for name, buffer in buffers.items():
            module, _, last = name.rpartition(".")
            setattr(self.network.get_submodule(module), last, buffer)
        return grads

    def network_state(self, values: Tensor, buffers: dict[str, Tensor], replica: int) -> dict[str, Tensor]:
        """Copies of one replica's row and buffers, on the CPU, as the state of a network with one replica."""
        one = slice(replica, replica + 1)
        found = {name: buffer[one] for name, buffer in buffers.items()}
        for name, parameter in self.network.named_parameters(remove_duplicate=False):
            found[name] = values[one, self._columns[parameter]].view(1, *parameter.shape[1:])
        return {name: found[name].clone().cpu() for name in self.network.state_dict()}
