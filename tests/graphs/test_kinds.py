"""The convolution of one-hot features by look-ups: that of the features, compiled and plain alike."""

import pytest
import torch

from rethinking.graphs import kinds as looking_up
from rethinking.graphs.convolve import plain_convolve
from rethinking.graphs.kinds import OneHot, convolve_kinds, plain_kinds
from rethinking.graphs.levels import SparseLevel
from rethinking.layers.convolutions import DenseGraphConv, GraphConv
from rethinking.layers.initial import initialise
from tests.operators import alike, holds, is_sound


@pytest.mark.parametrize("relu", [False, True])
def test_the_forms_are_alike(level: SparseLevel, relu: bool) -> None:
    segments, width = level._incoming, level.topology.width
    kinds = torch.randint(4, (3, width), generator=torch.Generator().manual_seed(0))
    x = torch.nn.functional.one_hot(kinds, 4).double()
    inputs = [torch.randn(3, 8, 5), torch.randn(3, 1, 5)]
    arrays = (segments.ptr, segments.rows, level.node_count)
    holds(
        lambda weight, bias: convolve_kinds(kinds, weight, bias, segments, level.node_count, relu),
        lambda weight, bias: plain_convolve(x, weight, bias, *arrays, relu, False),
        inputs,
    )
    weight, bias = (value.double() for value in inputs)
    out = plain_kinds(kinds, weight, bias, *arrays, relu)
    assert torch.allclose(out, plain_convolve(x, weight, bias, *arrays, relu, False), atol=1e-12)
    backward = (torch.randn_like(out), kinds, out if relu else None, *arrays, 4)
    alike(looking_up._compiled_backward, looking_up.plain_kinds_backward, backward)
    is_sound("convolve_kinds_backward", backward)
    is_sound("convolve_kinds", (kinds, weight, bias, *arrays, relu))


@pytest.mark.parametrize("kind", [GraphConv, DenseGraphConv])
def test_a_convolution_looks_up_the_features_that_are_the_levels_own(level: SparseLevel, kind: type[GraphConv]) -> None:
    kinds = torch.randint(4, (3, level.topology.width), generator=torch.Generator().manual_seed(0))
    x = torch.nn.functional.one_hot(kinds, 4).float()
    conv = kind(3, 4, 6)
    initialise(conv, [0, 1, 2])
    expected = conv(x, level)
    # Wrong on purpose: who is asked, the features or the kinds, shows in the result.
    level.one_hot = OneHot(x, (kinds + 1) % 4)
    assert torch.equal(conv(x.clone(), level), expected)
    assert not torch.allclose(conv(x, level), expected)
    level.one_hot = OneHot(x, kinds)
    assert torch.allclose(conv(x, level), expected, atol=1e-5)
    assert torch.equal(conv(x.requires_grad_(), level), expected)
