"""On the CPU an operator is its compiled form, or its plain one where that is chosen."""

import pytest
import torch
from numba import njit

from rethinking.operators import before_compilation, define, use_compiled


@pytest.mark.usefixtures("plain")
def test_the_form_is_chosen() -> None:
    probe = define("probe(Tensor x) -> Tensor", lambda x: x + 1, lambda x: x + 2, torch.empty_like)
    zero = torch.zeros(1)
    assert probe(zero) == 2
    use_compiled(True)
    assert probe(zero) == 1


def test_compilation_is_told_of_once_and_only_where_something_is_compiled() -> None:
    told = []
    with before_compilation(lambda: told.append(1)):
        assert not told
        # Not kept on disk, so compiled anew.
        first, second = (njit(lambda x, by=by: x + by) for by in (1, 2))
        assert first(1) == 2 and second(1) == 3
        assert told == [1]
    njit(lambda x: x * 2)(1)
    assert told == [1]
