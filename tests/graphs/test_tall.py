"""Products in blocks equal products in one piece."""

import numpy as np
import pytest

from rethinking.graphs.tall import SMALL, add_tall_product, tall_product


@pytest.mark.parametrize(("features", "columns"), [(64, 320), (3, 5), (800, 700), (0, 4)])
def test_blocks_are_a_product(features: int, columns: int) -> None:
    """For a few rows, and for more than one block of them where there are blocks."""
    rng = np.random.default_rng(0)
    for rows in (0, 3, min(SMALL // max(features * columns, 1), 500) + 2):
        a, b = rng.standard_normal((rows, features)), rng.standard_normal((features, columns))
        out = np.empty((rows, columns))
        tall_product(a, b, out)
        assert np.allclose(out, a @ b, atol=1e-10)
        total = np.ones((features, columns))
        add_tall_product(a, out, total)
        assert np.allclose(total, 1 + a.T @ out, atol=1e-8)
