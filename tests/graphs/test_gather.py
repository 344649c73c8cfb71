"""Sums of rows that lie here and there."""

import numpy as np
import pytest
from numba import njit

from rethinking.graphs.gather import sum_rows


@njit
def total_of(x, rows, first, begin, end):
    total = np.full(x.shape[1], np.nan)
    sum_rows(x, rows, first, begin, end, total)
    return total


@pytest.mark.parametrize("count", range(6))
def test_any_number_of_rows_is_summed(count: int) -> None:
    x, rows = np.random.default_rng(0).standard_normal((9, 3)), np.array([7, 3, 3, 8, 0, 1, 5])
    assert np.allclose(total_of(x, rows + 20, 20, 1, 1 + count), x[rows[1 : 1 + count]].sum(axis=0))
