"""Splits are disjoint, complete, stratified, of equal sizes, and follow from the seed."""

import numpy as np
import pytest

from rethinking.data.dataset import GraphDataset
from rethinking.data.split import StratifiedSplit
from rethinking.errors import UserError
from tests.conftest import random_dataset


def test_is_a_stratified_partition(digits: GraphDataset) -> None:
    splitter = StratifiedSplit(val=0.1, test=0.1)
    shares = np.bincount(digits.y) / len(digits)
    for seed in range(5):
        split = splitter(digits, seed)
        together = np.concatenate([split.train, split.val, split.test])
        assert np.array_equal(np.sort(together), np.arange(len(digits)))
        assert (len(split.val), len(split.test)) == (180, 180)
        for part in (split.train, split.val, split.test):
            counts = np.bincount(digits.y[part])
            assert np.abs(counts - shares * len(part)).max() <= 1.5


def test_follows_from_the_seed(digits: GraphDataset) -> None:
    splitter = StratifiedSplit(val=0.1, test=0.1)
    assert np.array_equal(splitter(digits, 3).test, splitter(digits, 3).test)
    assert not np.array_equal(splitter(digits, 3).test, splitter(digits, 4).test)


def test_a_class_too_small_is_said() -> None:
    with pytest.raises(UserError, match="too small for a stratified split"):
        StratifiedSplit(val=0.1, test=0.1)(random_dataset(0, graphs=4), 0)
