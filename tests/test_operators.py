"""On the CPU an operator is its compiled form, or its plain one where that is chosen."""

import pytest
import torch

from rethinking.operators import define, use_compiled


@pytest.mark.usefixtures("plain")
def test_the_form_is_chosen() -> None:
    probe = define("probe(Tensor x) -> Tensor", lambda x: x + 1, lambda x: x + 2, torch.empty_like)
    zero = torch.zeros(1)
    assert probe(zero) == 2
    use_compiled(True)
    assert probe(zero) == 1
