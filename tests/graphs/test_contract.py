"""Sᵀ A S with its traces, on sparse levels and their complements: compiled and plain alike, forward and backward."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rethinking.graphs import contract as contracting
from rethinking.graphs.contract import Contraction, contract, plain_contract
from rethinking.graphs.levels import SparseLevel
from tests.operators import alike, holds, is_sound


def together(contraction: Contraction) -> Tensor:
    """Each result with a weight of its own."""
    coarse, cut, volume = contraction
    return coarse.sum(dim=2).sin() + 2 * cut[:, None] + 3 * volume[:, None]


@pytest.mark.parametrize("complement", [False, True])
def test_the_forms_are_alike(level: SparseLevel, complement: bool) -> None:
    edges, s = level._outgoing, torch.randn(3, level.topology.width, 4)
    constant = (edges.ptr, edges.rows, *level.spans)
    holds(
        lambda s: together(contract(s, edges, *level.spans, level.directed, complement)),
        lambda s: together(Contraction(*plain_contract(s, *constant, complement)[:3])),
        [s],
    )
    s = s.double()
    coarse, cut, volume, sums = plain_contract(s, *constant, complement)
    grads = [torch.randn_like(x) for x in (coarse, cut, volume)]
    pointing = (edges.ptr, edges.row_ptr, edges.row_segments, *level.spans)
    for directed in {level.directed, True}:
        backward = (*grads, s, sums, *pointing, directed, complement)
        alike(contracting._compiled_backward, contracting.plain_contract_backward, backward)
        is_sound("contract_backward", backward)
    is_sound("contract", (s, *constant, complement))


@pytest.mark.parametrize("of", [lambda level: level, lambda level: level.complement], ids=["graphs", "complements"])
def test_equals_the_products_of_matrices(level: SparseLevel, of: Callable[[SparseLevel], SparseLevel]) -> None:
    level = of(level)
    s = torch.randn(3, level.topology.width, 4)
    matrices, adjacency = level.per_graph(s), level.adjacency
    coarse, cut, volume = level.contract(s)
    expected = matrices.mT @ adjacency @ matrices
    assert torch.allclose(coarse.view_as(expected), expected, atol=1e-4)
    assert torch.allclose(cut.view(3, -1), expected.diagonal(dim1=-2, dim2=-1).sum(dim=-1), atol=1e-4)
    degrees = adjacency.sum(dim=-1, keepdim=True)
    assert torch.allclose(volume.view(3, -1), (degrees * matrices.square()).sum(dim=(2, 3)), atol=1e-4)


def test_padding_and_other_graphs_have_no_part(level: SparseLevel) -> None:
    """Not even what is no number there."""
    s = torch.randn(3, level.topology.width, 4)
    expected = level.contract(s)
    s[~level.present.expand_as(s)] = torch.nan
    s.requires_grad_()
    results = level.contract(s)
    assert all(map(torch.equal, results, expected))
    (grad,) = torch.autograd.grad(together(results).sum(), s)
    assert torch.equal(grad[~level.present.expand_as(s)], torch.zeros_like(s[~level.present.expand_as(s)]))
    assert grad.isfinite().all()
