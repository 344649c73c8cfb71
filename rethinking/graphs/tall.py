"""Products of tall matrices with small ones, for compiled loops: a block of rows after another.

OpenBLAS copies the operands of a product into its own layout first, but for small ones; by blocks below that limit the
products of this project are up to twice as fast, and what comes before and after them stays in the cache.
"""

import numpy as np
from numba import njit

# Multiplications of a product, up to which OpenBLAS 0.3 works without copies (`gemm_small_matrix_permit`).
SMALL = 1_000_000
# With fewer rows at a time the small matrix is read too often.
FEWEST = 8


@njit(cache=True, nogil=True)
def tall_product(a, b, out):
    """out = a b. a: [n, F]. b: [F, G], which lies row after row: the transpose of another is copied first."""
    rows = _rows_at_a_time(len(a), b.size)
    for first in range(0, len(a), rows):
        np.dot(a[first : first + rows], b, out[first : first + rows])


@njit(cache=True, nogil=True)
def add_tall_product(a, b, out):
    """out += aᵀ b. a: [n, F]. b: [n, G]. out: [F, G]."""
    product = np.empty_like(out)
    rows = _rows_at_a_time(len(a), out.size)
    for first in range(0, len(a), rows):
        np.dot(a[first : first + rows].T, b[first : first + rows], product)
        for i in range(len(out)):
            total, added = out[i], product[i]
            for f in range(len(total)):
                total[f] += added[f]


@njit(cache=True, nogil=True)
def _rows_at_a_time(rows, small):
    """As many as stay below the limit, about as many in each block."""
    fitting = SMALL // max(small, 1)
    if fitting < FEWEST or fitting >= rows:
        return max(rows, 1)
    blocks = (rows + fitting - 1) // fitting
    return (rows + blocks - 1) // blocks
