"""Products of many matrices: compiled and torch's own alike, forward and backward, however they lie in memory."""

import torch

from rethinking.graphs.matrices import matmul
from tests.operators import holds, is_sound


def test_products() -> None:
    holds(matmul, torch.matmul, [torch.randn(2, 3, 4, 5), torch.randn(2, 3, 5, 6)])
    is_sound("matrix_product", (torch.randn(3, 4, 5), torch.randn(3, 5, 6)))


def test_products_with_transposes() -> None:
    a, b = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 6, 5)
    holds(lambda a, b: matmul(a.mT, b.mT), lambda a, b: a.mT @ b.mT, [a, b])
    # Neither lies in one piece, as it is or transposed.
    assert torch.allclose(matmul(a[..., ::2, :].mT, b[..., ::2].mT), a[..., ::2, :].mT @ b[..., ::2].mT, atol=1e-6)


def test_a_matrix_by_itself() -> None:
    holds(lambda a: matmul(a.mT, a), lambda a: a.mT @ a, [torch.randn(3, 4, 5)])


def test_without_columns() -> None:
    assert torch.equal(matmul(torch.ones(2, 3, 0), torch.ones(2, 0, 4)), torch.zeros(2, 3, 4))
