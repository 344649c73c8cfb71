"""The squared norm of the Gramian: compiled and plain alike, with more nodes than clusters and with fewer."""

import pytest
import torch

from rethinking.graphs.levels import SparseLevel
from rethinking.graphs.products import plain_product
from rethinking.pooling.gramian import gramian_square, plain_gramian_square
from tests.operators import holds, is_sound


@pytest.mark.parametrize("clusters", [1, 4, 20])
def test_the_forms_are_alike(level: SparseLevel, clusters: int) -> None:
    """The graphs have 1 to 12 nodes; by its definition, too."""
    s = torch.randn(3, level.topology.width, clusters)
    holds(lambda s: gramian_square(s, *level.spans), lambda s: plain_gramian_square(s, *level.spans), [s])
    s = s.double()
    by_definition = plain_product(s, s, *level.spans).square().sum(dim=(1, 2))
    assert torch.allclose(gramian_square(s, *level.spans), by_definition)
    squares, gramian = plain_gramian_square(s, *level.spans)
    is_sound("gramian_square", (s, *level.spans))
    start, size, most = level.spans
    is_sound("gramian_square_backward", (squares, s, start, size, gramian, most))


@pytest.mark.parametrize("clusters", [4, 20])
def test_padding_has_no_part(level: SparseLevel, clusters: int) -> None:
    """Not even what is no number there."""
    s = torch.rand(3, level.topology.width, clusters)
    expected = gramian_square(s, *level.spans)
    s[~level.present.expand_as(s)] = torch.nan
    s.requires_grad_()
    squares = gramian_square(s, *level.spans)
    assert torch.equal(squares, expected)
    gradient = torch.autograd.grad(squares.sum(), s)[0]
    assert gradient.isfinite().all()
    assert not gradient[~level.present.expand_as(s)].any()
