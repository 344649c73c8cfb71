"""Non-negative factors of a sparse matrix, as scikit-learn's coordinate descent finds them, many times as fast.

At each entry of a factor the library's loop takes K products anew. Most entries are zero and stay so: here the slopes
of a row are had at once, and what follows is what the changes of its entries mean for the slopes of those after them.
"""

import numpy as np
from numba import njit
from scipy.sparse import csr_array

FEW = 0.1  # Of the entries of a factor: up to so many products are faster when it is sparse.


def nonnegative_factors(
    matrix: csr_array, rank: int, iterations: int, rng: np.random.RandomState, tolerance: float = 1e-4
) -> tuple[np.ndarray, np.ndarray]:
    """W, [N, K], and H, [K, M], of matrix ≈ WH without negative entries, from random ones (Cichocki and Phan 2009).

    matrix: [N, M]. iterations: at most. tolerance: the share of the first iteration's slopes at which it ends.
    That is scikit-learn's `init="random"`, `solver="cd"`, `max_iter` and `tol`, the same but for rounding.
    """
    size = np.sqrt(matrix.mean() / rank)
    right = np.ascontiguousarray(np.abs(size * rng.standard_normal((rank, matrix.shape[1]))).T)
    left = np.abs(size * rng.standard_normal((matrix.shape[0], rank)))
    turned, first = matrix.T.tocsr(), 0.0
    for iteration in range(iterations):
        slopes = _descend(left, *_products(matrix, right)) + _descend(right, *_products(turned, left))
        first = slopes if iteration == 0 else first
        if slopes <= tolerance * first:
            break
    return left, right.T


def _products(matrix: csr_array, factor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """FᵀF and AF."""
    if np.count_nonzero(factor) > FEW * factor.size:
        return factor.T @ factor, matrix @ factor
    sparse = csr_array(factor)
    return (sparse.T @ sparse).toarray(order="C"), (matrix @ sparse).toarray(order="C")


@njit(cache=True, nogil=True, error_model="numpy")
def _descend(factor, gramian, product):
    """Each entry of a row where the error is least, one after another; the sum of slopes that they had, in size."""
    rank, total = factor.shape[1], 0.0
    slopes = np.empty(rank)
    for row in range(len(factor)):
        entries = factor[row]
        for k in range(rank):
            slopes[k] = -product[row, k]
        for j in range(rank):
            if entries[j] != 0:
                for k in range(rank):
                    slopes[k] += entries[j] * gramian[j, k]
        for j in range(rank):
            slope = slopes[j]
            if entries[j] == 0 and slope >= 0:
                continue
            total += abs(slope)
            if gramian[j, j] == 0:
                continue
            value = max(entries[j] - slope / gramian[j, j], 0.0)
            change = value - entries[j]
            entries[j] = value
            if change != 0:
                for k in range(j + 1, rank):
                    slopes[k] += change * gramian[j, k]
    return total
