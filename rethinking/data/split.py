"""Which graphs train, validate and test: one split per seed, or the data set's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rethinking.data.dataset import GraphDataset
from rethinking.errors import UserError
from rethinking.randomness import stream


@dataclass(frozen=True)
class Split:
    """The graphs of each part, int64 arrays without overlap."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


class Splitter(Protocol):
    """Splits a data set for a seed; parts have the same sizes for every seed."""

    @property
    def test_to_train(self) -> float:
        """n_test / n_train if every seed splits the same graphs anew, else 0 (see `paired_difference`)."""
        ...

    def __call__(self, dataset: GraphDataset, seed: int) -> Split:
        """Raises UserError if the data set cannot be split so."""
        ...


@dataclass(frozen=True)
class StratifiedSplit:
    """A new split for every seed, with the same share of each class in every part.

    val, test: their shares of all graphs; the rest trains (the paper, Section 2.1: 80/10/10).
    """

    val: float
    test: float

    def __post_init__(self) -> None:
        shares = (self.val, self.test)
        if not all(isinstance(share, (int, float)) and share > 0 for share in shares) or sum(shares) >= 1:
            raise ValueError(f"val={self.val}, test={self.test}; expected two shares above 0 that leave some to train")

    @property
    def test_to_train(self) -> float:
        """The share of tested to trained graphs: seeds draw from the same graphs."""
        return self.test / (1 - self.val - self.test)

    def __call__(self, dataset: GraphDataset, seed: int) -> Split:
        """The split of the seed's `split` stream. Raises UserError if a class is too small to be in every part."""
        # Late: importing it takes longer than all else that a command has to do before it answers.
        from sklearn.model_selection import train_test_split

        graphs = np.arange(len(dataset))
        state = np.random.RandomState(stream(seed, "split").integers(2**32))
        sizes = {part: round(getattr(self, part) * len(graphs)) for part in ("val", "test")}
        try:
            rest, test = train_test_split(graphs, test_size=sizes["test"], stratify=dataset.y, random_state=state)
            train, val = train_test_split(rest, test_size=sizes["val"], stratify=dataset.y[rest], random_state=state)
        except ValueError as error:
            raise UserError(
                f"{dataset.name} is too small for a stratified split of {self.val:.0%} and {self.test:.0%}: {error}"
            ) from error
        return Split(np.sort(train), np.sort(val), np.sort(test))


@dataclass(frozen=True)
class FixedSplit:
    """The data set's own split, the same for every seed: ranges [first, last) of its graphs."""

    train: Sequence[int]
    val: Sequence[int]
    test: Sequence[int]

    @property
    def test_to_train(self) -> float:
        """0: the parts are fixed, seeds differ in their training only."""
        return 0.0

    def __call__(self, dataset: GraphDataset, seed: int) -> Split:
        """Raises UserError if the ranges overlap or leave the data set."""
        parts = [np.arange(*part) for part in (self.train, self.val, self.test)]
        graphs = np.concatenate(parts)
        apart = min(map(len, parts)) > 0 and len(np.unique(graphs)) == len(graphs)
        if not apart or graphs.min() < 0 or graphs.max() >= len(dataset):
            raise UserError(
                f"{dataset.name}: the split train={self.train}, val={self.val}, test={self.test} does not fit "
                f"{len(dataset)} graphs; expected three ranges [first, last) that do not overlap."
            )
        return Split(*parts)


@dataclass(frozen=True)
class LeakingSplit:
    """The released code's split of SMNIST (fidelity ledger, row 2), whose validation graphs are mostly trained on too.

    Of the first `development` graphs a random share `val` validates, and all but the first such share train;
    the graphs after them test.
    """

    development: int
    val: float

    @property
    def test_to_train(self) -> float:
        """0: the test graphs are fixed."""
        return 0.0

    def __call__(self, dataset: GraphDataset, seed: int) -> Split:
        """The split of the seed's `split` stream. Raises UserError if there are too few graphs."""
        size = int(self.val * self.development)
        if not 0 < size < self.development < len(dataset):
            raise UserError(
                f"{dataset.name}: development={self.development}, val={self.val} does not fit {len(dataset)} graphs."
            )
        val = stream(seed, "split").permutation(self.development)[:size]
        return Split(np.arange(size, self.development), np.sort(val), np.arange(self.development, len(dataset)))
