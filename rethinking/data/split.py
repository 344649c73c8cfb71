"""Which graphs train, validate and test: one split per seed, or the data set's own."""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

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
    """Splits a data set for a seed. Seeds whose parts have equal sizes train together."""

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
class RandomSplit(StratifiedSplit):
    """A new split for every seed, whatever the classes."""

    def __call__(self, dataset: GraphDataset, seed: int) -> Split:
        """The split of the seed's `split` stream. Raises UserError if there are too few graphs for all parts."""
        order = stream(seed, "split").permutation(len(dataset))
        val, test = (round(share * len(order)) for share in (self.val, self.test))
        if not val or not test or val + test >= len(order):
            raise UserError(
                f"{dataset.name} is too small for a split of {self.val:.0%} and {self.test:.0%}: {len(order)} graphs"
            )
        return Split(np.sort(order[val + test :]), np.sort(order[:val]), np.sort(order[val : val + test]))


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


PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class FileSplit:
    """Splits from a CSV file with the columns `seed`, `part` (train, val or test) and `graph` (numbered from 0).

    A file without the column `seed` has one split for all seeds. A graph that is in no part is left out.
    sha256: the checksum of the file that is meant; null accepts any.
    """

    file: str
    sha256: str | None = None

    @cached_property
    def _rows(self) -> pd.DataFrame:
        """Raises UserError if the file is missing or cannot be understood."""
        if self.sha256 and file_checksum(self.file) != self.sha256:
            raise UserError(f"{self.file} has changed since the command started; run the command again.")
        try:
            rows = pd.read_csv(self.file)
        except (OSError, ValueError) as error:
            raise UserError(f"The splits in {self.file} cannot be read: {' '.join(str(error).split())}.") from error
        whole = {"part", "graph"} <= set(rows) and all(
            pd.api.types.is_integer_dtype(rows[key]) for key in ("graph", "seed") if key in rows
        )
        if not whole or not rows["part"].isin(PARTS).all():
            raise UserError(
                f"{self.file} holds no splits; expected the columns seed, part (train, val or test) and graph (a whole "
                "number), as `rethinking data splits` writes them."
            )
        return rows

    @property
    def test_to_train(self) -> float:
        """n_test / n_train of the smallest seed if seeds test on different graphs, else 0."""
        if "seed" not in self._rows:
            return 0.0
        rows = self._rows
        tests = [tuple(sorted(graphs)) for _, graphs in rows[rows.part == "test"].groupby("seed").graph]
        if len(set(tests)) < 2:
            return 0.0
        first = rows[rows.seed == rows.seed.min()].part
        return int((first == "test").sum()) / int((first == "train").sum())

    def __call__(self, dataset: GraphDataset, seed: int) -> Split:
        """Raises UserError if the file lacks the seed, or what it says is no split of the data set."""
        rows = self._rows
        if "seed" in rows:
            rows = rows[rows.seed == seed]
            if rows.empty:
                raise UserError(f"{self.file} has no split for seed {seed}; it has {_in_short(self._rows.seed)}.")
        if rows.graph.duplicated().any() or not rows.graph.between(0, len(dataset) - 1).all():
            raise UserError(
                f"{self.file}: a split of {dataset.name} names a graph twice, or one that is not among its "
                f"{len(dataset)} graphs (0 to {len(dataset) - 1})."
            )
        parts = [np.sort(rows.graph[rows.part == part].to_numpy(np.int64)) for part in PARTS]
        if min(map(len, parts)) == 0:
            raise UserError(f"{self.file}: a split of {dataset.name} has an empty part; expected train, val and test.")
        return Split(*parts)


def file_checksum(file: str) -> str:
    """The SHA-256 of a file of splits. Raises UserError if it cannot be read."""
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(
            f"The splits in {file} cannot be read ({error.strerror}); `rethinking data splits` writes such files."
        ) from error


def export_splits(splitter: Splitter, dataset: GraphDataset, seeds: Iterable[int]) -> pd.DataFrame:
    """The splits of some seeds in the form that `FileSplit` reads; without seeds if they are all the same."""
    frames = {}
    for seed in seeds:
        frames[seed] = _as_rows(splitter(dataset, seed))
    first, *others = frames.values()
    # Of one seed alone the next one tells whether it is the split of all.
    if not others:
        with suppress(UserError):  # There is none.
            others = [_as_rows(splitter(dataset, next(iter(frames)) + 1))]
    if others and all(frame.equals(first) for frame in others):
        return first
    return pd.concat(frames, names=["seed", None]).reset_index(level="seed").reset_index(drop=True)


def _as_rows(split: Split) -> pd.DataFrame:
    return pd.concat([pd.DataFrame({"part": part, "graph": getattr(split, part)}) for part in PARTS])


def _in_short(seeds: pd.Series) -> str:
    known = sorted(set(seeds))
    return ", ".join(map(str, known)) if len(known) <= 5 else f"{len(known)} seeds from {known[0]} to {known[-1]}"
