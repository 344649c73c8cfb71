"""Families that learn from a loss of their own in epochs of their own, such as GMN."""

from typing import Any

from torch import Tensor, nn

from rethinking.models.family import Output


class Alternating(nn.Module):
    """A family whose every `period`-th epoch is one step on an unsupervised loss, over all training graphs.

    period: 0 if there is nothing to learn so; then every epoch is an ordinary one.
    own_parameters: those that ordinary epochs leave alone.
    trains_own: whether the unsupervised step trains these, and only these; otherwise it trains all others, as the
    released code does (fidelity ledger, row 1).
    """

    period: int
    own_parameters: list[nn.Parameter]
    trains_own: bool

    def unsupervised(self, x: Tensor, prepared: Any) -> Output:
        """Predictions [R, B, out], and the losses of the unsupervised step by name, [R] each; they add over batches."""
        raise NotImplementedError
