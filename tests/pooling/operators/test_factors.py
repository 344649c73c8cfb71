"""Factors without negative entries are those of the library, found in another way."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix, random_array
from sklearn.decomposition import non_negative_factorization
from sklearn.exceptions import ConvergenceWarning

from rethinking.pooling.operators.src.factors import nonnegative_factors


@pytest.mark.parametrize(("rank", "iterations"), [(3, 1), (6, 2), (6, 60), (25, 400)])
def test_factors_are_those_of_scikit_learn(rank: int, iterations: int) -> None:
    """Dense and sparse ones, more of them than the matrix has a use for, and a row and a column without entries."""
    entries = random_array((40, 30), density=0.15, rng=np.random.default_rng(rank)).toarray()
    entries[7], entries[:, 4] = 0, 0
    found = nonnegative_factors(csr_array(entries), rank, iterations, np.random.RandomState(5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        *expected, _ = non_negative_factorization(
            csr_matrix(entries), n_components=rank, init="random", max_iter=iterations, random_state=5
        )
    for mine, theirs in zip(found, expected, strict=True):
        assert np.allclose(mine, theirs, atol=1e-8)
