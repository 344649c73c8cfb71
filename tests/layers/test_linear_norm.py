"""A linear layer, batch norm and ReLU as one operation: as the three layers one after another, forward and backward."""

import pytest
import torch
from torch import Tensor

from rethinking.graphs.levels import SparseLevel
from rethinking.layers import linear_norm
from rethinking.layers.initial import initialise
from rethinking.layers.linear import Linear
from rethinking.layers.linear_norm import linear_norm_relu, plain_linear_norm
from rethinking.layers.norm import BatchNorm
from tests.operators import alike, holds, is_sound

NODES = torch.tensor([150, 129, 60])


def test_the_forms_are_alike() -> None:
    inputs = [torch.randn(3, 150, 4), torch.randn(3, 4, 5), torch.randn(3, 1, 5), torch.randn(3, 1, 5)]
    present = (torch.arange(150) < NODES[:, None])[..., None]

    def ours(*inputs: Tensor) -> Tensor:
        return linear_norm._LinearNorm.apply(*inputs, NODES, 1e-5)[0] * present

    def plain(*inputs: Tensor) -> Tensor:
        return plain_linear_norm(*inputs, NODES, 1e-5)[0] * present

    holds(ours, plain, inputs)
    doubles = [value.double() for value in inputs]
    out, z, mean, var = plain_linear_norm(*doubles, NODES, 1e-5)
    alike(linear_norm._compiled, plain_linear_norm, (*doubles, NODES, 1e-5))
    is_sound("linear_norm_relu", (*doubles, NODES, 1e-5))
    for needs_x in (True, False):
        backward = (torch.randn_like(out), *doubles, z, mean, var, NODES, 1e-5, needs_x)
        alike(linear_norm._compiled_backward, linear_norm.plain_linear_norm_backward, backward)
        is_sound("linear_norm_relu_backward", backward)


@pytest.mark.parametrize("train", [True, False])
def test_equals_the_layers_and_keeps_their_statistics(level: SparseLevel, train: bool) -> None:
    x = torch.randn(3, level.topology.width, 5, dtype=torch.double) + 3
    results = []
    for form in (linear_norm_relu, lambda x, linear, norm, level: torch.relu(norm(linear(x), level))):
        linear, norm = Linear(3, 5, 4, bias=False), BatchNorm(3, 4)
        for layer in (linear, norm):
            initialise(layer, [0, 1, 2])
            layer.double().train(train)
        out = form(x, linear, norm, level)
        results.append((out[level.present.squeeze(-1)], norm.running_mean, norm.running_var))
    for mine, theirs in zip(*results, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)


def test_padding_rows_are_not_seen() -> None:
    x = torch.randn(3, 150, 4)
    x[1, 129:] = torch.nan
    x[2, 60:] = torch.nan
    inputs = [value.requires_grad_() for value in (x, torch.randn(3, 4, 5), torch.ones(3, 1, 5), torch.zeros(3, 1, 5))]
    out = linear_norm._LinearNorm.apply(*inputs, NODES, 1e-5)[0]
    assert not out.isnan().any()
    for gradient in torch.autograd.grad(out.square().sum(), inputs):
        assert not gradient.isnan().any()
