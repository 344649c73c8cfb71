"""Sums of rows that lie here and there, for compiled loops: what a node sees of its neighbours."""

from numba import njit


@njit(inline="always")
def sum_rows(x, rows, first, begin, end, total):
    """total = Σ x[rows[entry] − first], entry = begin … end − 1. x: [n, F]. total: [F].

    Two rows at a time, so that the total is fetched and put back half as often: that is what takes the time.
    """
    paired = begin + (end - begin) % 2
    if paired > begin:
        one = x[rows[begin] - first]
        for f in range(len(total)):
            total[f] = one[f]
    else:
        for f in range(len(total)):
            total[f] = 0
    for entry in range(paired, end, 2):
        one, other = x[rows[entry] - first], x[rows[entry + 1] - first]
        for f in range(len(total)):
            total[f] += one[f] + other[f]
