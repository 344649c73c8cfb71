"""MinCutPool's second loss: compiled and plain alike, with more nodes than clusters and with fewer."""

import pytest
import torch

from rethinking.graphs.levels import SparseLevel
from rethinking.pooling.orthogonality import orthogonality, plain_orthogonality
from tests.operators import holds, is_sound


@pytest.mark.parametrize("clusters", [1, 4, 20])
def test_the_forms_are_alike(level: SparseLevel, clusters: int) -> None:
    """The graphs have 1 to 12 nodes."""
    s = torch.randn(3, level.topology.width, clusters)
    if clusters == 1:
        # One cluster is as apart as can be; what rounding leaves has no direction.
        assert torch.allclose(orthogonality(s, *level.spans), torch.zeros(()), atol=1e-6)
        return
    holds(lambda s: orthogonality(s, *level.spans), lambda s: plain_orthogonality(s, *level.spans), [s])
    s = s.double()
    results = plain_orthogonality(s, *level.spans)
    is_sound("orthogonality", (s, *level.spans))
    start, size, most = level.spans
    is_sound("orthogonality_backward", (results[0], s, start, size, *results, most))


def test_clusters_apart_and_of_one_size_cost_nothing() -> None:
    """And their gradient is zero: the root has none there."""
    s = torch.eye(3).repeat(1, 2, 1).requires_grad_()
    loss = orthogonality(s, torch.tensor([0]), torch.tensor([6]), 6)
    assert float(loss.detach()) < 1e-6
    assert torch.autograd.grad(loss.sum(), s)[0].isfinite().all()


def test_padding_has_no_part(level: SparseLevel) -> None:
    """Not even what is no number there."""
    s = torch.rand(3, level.topology.width, 4)
    expected = orthogonality(s, *level.spans)
    s[~level.present.expand_as(s)] = torch.nan
    s.requires_grad_()
    loss = orthogonality(s, *level.spans)
    assert torch.equal(loss, expected)
    assert torch.autograd.grad(loss.sum(), s)[0].isfinite().all()
