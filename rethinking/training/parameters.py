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
    parameter of its own, for an ordinary torch optimiser.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._parameters = list(model.parameters())
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
        self.rows = [nn.Parameter(row) for row in values]
        for row, grad in zip(self.rows, self.grads, strict=True):
            row.grad = grad

    def zero_grad(self) -> None:
        """Set every gradient to zero, in place."""
        self.grads.zero_()

    def clip(self, max_norm: float) -> None:
        """Scale down each replica's gradient to `max_norm` where its norm is larger, as `clip_grad_norm_` does."""
        norm = torch.linalg.vector_norm(self.grads, dim=1, keepdim=True)
        self.grads.mul_((max_norm / (norm + 1e-6)).clamp(max=1.0))

    def keep(self, replicas: Sequence[int]) -> None:
        """Go on with these replicas only; buffers of the model, [R, …] too, are cut alike."""
        self._bind(self.values[list(replicas)].clone())
        for module in self._model.modules():
            for name, buffer in module.named_buffers(recurse=False):
                setattr(module, name, buffer[list(replicas)])
