"""Sᵀ A S with its traces on dense levels: compiled and plain alike, forward and backward."""

import pytest
import torch
from torch import Tensor

from rethinking.graphs import dense_contract as contracting
from rethinking.graphs.contract import Contraction
from rethinking.graphs.dense_contract import dense_contract, plain_contract
from tests.graphs.test_contract import together
from tests.operators import alike, holds, is_sound


@pytest.mark.parametrize("directed", [True, False])
def test_the_forms_are_alike(directed: bool) -> None:
    def of(matrix: Tensor) -> Tensor:
        return matrix if directed else matrix + matrix.mT

    s, matrix = torch.randn(4, 5, 3), torch.rand(4, 5, 5)
    holds(
        lambda s, matrix: together(dense_contract(s, of(matrix), directed)),
        lambda s, matrix: together(Contraction(*plain_contract(s, of(matrix))[:3])),
        [s, matrix],
    )
    s, adjacency = s.double(), of(matrix).double()
    coarse, cut, volume, sums = plain_contract(s, adjacency)
    backward = (*(torch.randn_like(x) for x in (coarse, cut, volume)), s, adjacency, sums, directed)
    alike(contracting._compiled_backward, contracting.plain_contract_backward, backward)
    is_sound("dense_contract", (s, adjacency))
    is_sound("dense_contract_backward", backward)
