"""All parameters of R replicas in one tensor, a row a replica, so that a replica can be taken out."""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

# A view of a wider tensor is not "dense"; that costs nothing here.
warnings.filterwarnings("ignore", message="grad and param do not obey the gradient layout contract")


class ReplicaParameters:
    """Lays the parameters `[R, …]` of a model into `values` [R, P] and their gradients into `grads` [R, P].

    The model's own parameters become views of these, and `rows[r]` is replica r's share as a
    parameter of its own, for an ordinary torch optimiser. Those that are trained apart from the others lie
    last, and `apart_rows[r]` is the share of these.
    """

    def __init__(self, model: nn.Module, apart: Sequence[nn.Parameter] = ()) -> None:
        self._model = model
        self._apart = list(apart)
        names = set(map(id, self._apart))
        self._rest = [parameter for parameter in model.parameters() if id(parameter) not in names]
        self._parameters = [*self._rest, *self._apart]
        self._bind(torch.cat([p.detach().flatten(1) for p in self._parameters], dim=1))

    def _bind(self, values: Tensor) -> None:
        self.values = values
        self.grads = torch.zeros_like(values)
        first = 0
        for parameter in self._parameters:
            shape = (len(values), *parameter.shape[1:])
            last = first + parameter[0].numel()
            parameter.data = values[:, first:last].view(shape)
            # Autograd adds into a gradient that is there already.
            parameter.grad = self.grads[:, first:last].view(shape)
            first = last
        size = values.shape[1] - sum(parameter[0].numel() for parameter in self._apart)
        self._rest_grads = self.grads[:, :size]
        self.rows = _rows(values[:, :size], self._rest_grads)
        self.apart_rows = _rows(values[:, size:], self.grads[:, size:])

    def train_only(self, apart: bool) -> None:
        """Let gradients flow to the parameters that are trained apart, or to all others."""
        for parameters, needed in ((self._rest, not apart), (self._apart, apart)):
            for parameter in parameters:
                parameter.requires_grad_(needed)

    def zero_grad(self) -> None:
        """Set every gradient to zero, in place."""
        self.grads.zero_()

    def clip(self, max_norm: float) -> None:
        """Scale down each replica's gradient to `max_norm` where its norm is larger, as `clip_grad_norm_` does.

        What is trained apart stays out of it.
        """
        norm = torch.linalg.vector_norm(self._rest_grads, dim=1, keepdim=True)
        self._rest_grads.mul_((max_norm / (norm + 1e-6)).clamp(max=1.0))

    def keep(self, replicas: Sequence[int]) -> None:
        """Go on with these replicas only; buffers of the model, [R, …] too, are cut alike."""
        self._bind(self.values[list(replicas)].clone())
        for module in self._model.modules():
            for name, buffer in module.named_buffers(recurse=False):
                setattr(module, name, buffer[list(replicas)])


def _rows(values: Tensor, grads: Tensor) -> list[nn.Parameter]:
    rows = [nn.Parameter(row) for row in values]
    for row, grad in zip(rows, grads, strict=True):
        row.grad = grad
    return rows
