"""Splits are disjoint, complete, stratified, of equal sizes, and follow from the seed."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rethinking.configuration.composition import dataset_config
from rethinking.configuration.settings import FILE_SPLIT, _with_splits
from rethinking.data.dataset import GraphDataset
from rethinking.data.split import (
    PARTS,
    FileSplit,
    FixedSplit,
    RandomSplit,
    StratifiedSplit,
    export_splits,
    file_checksum,
)
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


def test_a_random_split_is_a_partition_that_does_not_look_at_classes(digits: GraphDataset) -> None:
    splitter = RandomSplit(val=0.1, test=0.1)
    off = []
    for seed in range(5):
        split = splitter(digits, seed)
        together = np.concatenate([split.train, split.val, split.test])
        assert np.array_equal(np.sort(together), np.arange(len(digits)))
        assert (len(split.val), len(split.test)) == (180, 180)
        off.append(np.abs(np.bincount(digits.y[split.test]) - 18).max())
    assert max(off) > 2
    with pytest.raises(UserError, match="too small for a split"):
        splitter(random_dataset(0, graphs=4), 0)


def test_follows_from_the_seed(digits: GraphDataset) -> None:
    splitter = StratifiedSplit(val=0.1, test=0.1)
    assert np.array_equal(splitter(digits, 3).test, splitter(digits, 3).test)
    assert not np.array_equal(splitter(digits, 3).test, splitter(digits, 4).test)


def test_a_class_too_small_is_said() -> None:
    with pytest.raises(UserError, match="too small for a stratified split"):
        StratifiedSplit(val=0.1, test=0.1)(random_dataset(0, graphs=4), 0)


def write(path: Path, rows: list[tuple[object, ...]], columns: str = "seed,part,graph") -> FileSplit:
    path.write_text("\n".join([columns, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return FileSplit(str(path))


def test_exported_splits_come_back(digits: GraphDataset, tmp_path: Path) -> None:
    splitter = StratifiedSplit(val=0.1, test=0.1)
    export_splits(splitter, digits, range(3)).to_csv(tmp_path / "digits.csv", index=False)
    back = FileSplit(str(tmp_path / "digits.csv"))
    for seed in range(3):
        ours, expected = back(digits, seed), splitter(digits, seed)
        assert all(np.array_equal(getattr(ours, part), getattr(expected, part)) for part in PARTS)
    assert back.test_to_train == pytest.approx(splitter.test_to_train, rel=0.01)
    with pytest.raises(UserError, match="no split for seed 3; it has 0, 1, 2"):
        back(digits, 3)


def test_the_split_of_one_seed_is_of_that_seed(digits: GraphDataset, tmp_path: Path) -> None:
    """Unless it is that of all: others would train on it, and be taken for seeds of a fixed split."""
    frame = export_splits(StratifiedSplit(val=0.1, test=0.1), digits, [4])
    assert set(frame["seed"]) == {4}
    frame.to_csv(tmp_path / "digits.csv", index=False)
    assert set(export_splits(FileSplit(str(tmp_path / "digits.csv")), digits, [4])["seed"]) == {4}
    assert "seed" not in export_splits(FixedSplit((0, 100), (100, 150), (150, 190)), digits, [4])


def test_a_fixed_split_is_written_once(digits: GraphDataset, tmp_path: Path) -> None:
    splitter = FixedSplit((0, 100), (100, 150), (150, 190))
    frame = export_splits(splitter, digits, range(3))
    assert list(frame) == ["part", "graph"] and len(frame) == 190
    frame.to_csv(tmp_path / "digits.csv", index=False)
    back = FileSplit(str(tmp_path / "digits.csv"))
    assert np.array_equal(back(digits, 7).test, splitter(digits, 7).test)
    assert back.test_to_train == 0


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        ([(0, "train", 1)], "seed,part,node", "holds no splits; expected the columns"),
        ([(0, "training", 1)], "seed,part,graph", "holds no splits"),
        ([(0, "train", 1.5)], "seed,part,graph", "holds no splits"),
        ([(0, "train", 1), (0, "val", 1), (0, "test", 2)], "seed,part,graph", "names a graph twice"),
        ([(0, "train", 1), (0, "val", 30), (0, "test", 2)], "seed,part,graph", "not among its 30 graphs"),
        ([(0, "train", 1), (0, "test", 2)], "seed,part,graph", "has an empty part"),
    ],
)
def test_what_is_no_split(tmp_path: Path, rows: list[tuple[object, ...]], columns: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        write(tmp_path / "random.csv", rows, columns)(random_dataset(0), 0)


def test_a_file_of_splits_that_changes_meanwhile(tmp_path: Path) -> None:
    rows = [(0, "train", 1), (0, "val", 2), (0, "test", 3)]
    write(tmp_path / "random.csv", rows)
    with pytest.raises(UserError, match="has changed"):
        FileSplit(str(tmp_path / "random.csv"), sha256="0" * 64)(random_dataset(0), 0)


def test_splits_are_known_by_what_is_in_their_file(tmp_path: Path) -> None:
    """Also where the file of a data set names it and no checksum: other splits are other runs."""
    file = tmp_path / "mine.csv"
    seen = []
    for graph in (3, 4):
        write(file, [(0, "train", 1), (0, "val", 2), (0, "test", graph)])
        config = replace(dataset_config("digits"), split={"_target_": FILE_SPLIT, "file": str(file)})
        seen.append(_with_splits(config, None).split["sha256"])
    assert len(set(seen)) == 2 and seen[1] == file_checksum(str(file))
    given = replace(dataset_config("digits"), split={"_target_": FILE_SPLIT, "file": str(file), "sha256": "0" * 64})
    assert _with_splits(given, None) == given


def test_a_sweep_on_splits_of_ones_own(
    rethinking: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """Of unequal sizes: such seeds do not train together, and all the same get what they would alone."""
    folder = tmp_path / "mine"
    folder.mkdir()
    rows = [(seed, "train", graph) for seed in range(3) for graph in range(60 + 4 * (seed == 1))]
    rows += [(seed, part, first + graph) for seed in range(3) for part, first in (("val", 100), ("test", 200 + seed))
             for graph in range(20)]  # fmt: skip
    write(folder / "digits.csv", rows)
    command = ["run", "model=global_mean", "pooling=none", "dataset=digits", "trainer.max_epochs=2", "splits=mine"]
    assert rethinking(*command, "seeds=3").returncode == 0
    results = sorted(tmp_path.glob("runs/*/result.json"))
    assert [json.loads(path.read_text())["replicas"] for path in results] == [2, 1, 2]
    # The same file elsewhere names the same runs; another file others.
    folder.rename(tmp_path / "moved")
    moved = [word.replace("mine", "moved") for word in command]
    assert "0 trained, 3 done before" in rethinking(*moved, "seeds=3").stderr
    write(tmp_path / "moved" / "digits.csv", rows[:-1])
    assert "1 trained, 0 done before" in rethinking(*moved, "seeds=1").stderr
    refused = rethinking(*command, "seeds=4")
    assert refused.returncode == 2 and "mine/digits.csv cannot be read" in refused.stderr
    refused = rethinking(*moved, "seeds=4")
    assert refused.returncode == 2 and "has no split for seed 3" in refused.stderr


def test_splits_from_the_command_line(
    rethinking: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """Training on exported splits is training on the data set's own."""
    result = rethinking("data", "splits", "digits", "--seeds", "2")
    assert result.returncode == 0 and "splits/digits.csv: 2 seeds, 1437 train, 180 val, 180 test" in result.stdout
    command = ["run", "model=global_mean", "pooling=none", "dataset=digits", "seeds=2"]
    command += ["trainer.max_epochs=1", "trainer.batch_size=512"]
    assert rethinking(*command, "runs=own").returncode == rethinking(*command, "splits=splits", "runs=file").returncode
    scores = [
        [json.loads(path.read_text())["test_loss"] for path in sorted(tmp_path.glob(f"{runs}/*/result.json"))]
        for runs in ("own", "file")
    ]
    assert len(scores[0]) == 2 and scores[0] == scores[1]


@pytest.mark.parametrize("text", ['graph,part\n0,train,1\n0,"a\nb,c', "\x00", 'graph,part\n0,"tr\nain"\n', "part\n"])
def test_a_file_that_is_no_table_is_one_sentence(tmp_path: Path, digits: GraphDataset, text: str) -> None:
    (tmp_path / "digits.csv").write_text(text)
    with pytest.raises(UserError) as refused:
        FileSplit(str(tmp_path / "digits.csv"))(digits, 0)
    assert len(str(refused.value).splitlines()) == 1
