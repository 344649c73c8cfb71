"""`rethinking verify` names every file that is not as it was written, and every run that does not come out again."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pandas as pd
import pytest

from rethinking.analysis.collect import collect
from rethinking.analysis.integrity import integrity
from rethinking.analysis.retrained import DIFFERS, EQUAL, WITHIN, Tolerance, Trained, difference, tolerance
from rethinking.analysis.tidy import read_results
from rethinking.analysis.verifying import drawn, in_its_group
from rethinking.cli import main
from rethinking.runs.store import RunStore
from rethinking.runs.together import as_text, from_text
from tests.analysis.test_collect import rewritten
from tests.conftest import FEW_DIGITS

Call = Callable[..., CompletedProcess[str]]
SPLITS = ("--splits", str(FEW_DIGITS))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with three runs that really trained together, and results that are collected of it."""
    folder = tmp_path_factory.mktemp("made")
    words = ["model=graclus", "pooling=learned", "dataset=digits", f"splits={FEW_DIGITS}", "trainer.max_epochs=2"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.argv", ["rethinking"])
        assert main(["run", *words, "trainer.batch_size=64", "seeds=3", f"runs={folder / 'runs'}"]) == 0
    collect(RunStore(folder / "runs"), folder / "results")
    return folder


@pytest.fixture(params=["runs", "results"])
def folder(request: pytest.FixtureRequest, made: Path, tmp_path: Path) -> Path:
    """A copy of either."""
    return Path(shutil.copytree(made / request.param, tmp_path / request.param))


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "runs", tmp_path / "runs"))


def data(folder: Path) -> list[Path]:
    """The files with something in them, but indices and locks."""
    return sorted(path for path in folder.glob("**/[!.]*") if path.is_file() and "/." not in str(path))


def test_what_trained_is_equal_when_it_is_trained_again(rethinking: Call, folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = rethinking("verify", str(folder), "--sample", "2", "--seed", "7", "--exact", *SPLITS)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"none +equal \(graclus / learned / digits, seed \d, with seeds 0-2\)", done.stdout)) == 2
    assert "2 runs of " in done.stdout and "drawn with --seed 7, trained again: 2 equal to the last bit" in done.stdout
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before, (
        "it has changed what it was to check"
    )


def test_a_byte_that_is_altered_anywhere_is_named(folder: Path) -> None:
    """Of a store, in one of its runs."""
    assert not integrity(folder).problems
    for path in [path for path in data(folder) if folder.name == "results" or "-s01" in str(path)]:
        content = path.read_bytes()
        for place in (0, len(content) // 2, len(content) - 1):
            altered = bytearray(content)
            altered[place] ^= 1
            path.write_bytes(bytes(altered))
            named = " ".join(integrity(folder).problems)
            assert path.name in named or path.parent.name in named, f"{path}, byte {place}: {named}"
        path.unlink()
        named = " ".join(integrity(folder).problems)
        assert path.name in named or path.parent.name in named, f"{path} is gone: {named}"
        path.write_bytes(content)
    inside = next(path.parent for path in data(folder) if path.suffix == ".parquet")
    (inside / "more.parquet").write_bytes(b"")
    assert "more.parquet" in " ".join(integrity(folder).problems)


def test_an_altered_score_with_its_checksum_made_right_is_found(rethinking: Call, runs: Path) -> None:
    run = sorted(runs.glob("*-s01"))[0]
    record = RunStore(runs).read(run.name).record
    rewritten(run, test_accuracy=record["test_accuracy"] + 0.01)
    done = rethinking("verify", str(runs), "--sample", "0")
    assert done.returncode == 1
    assert f"{run} has a test_accuracy of" in done.stderr and "1 of these things are wrong" in done.stdout


def test_a_whole_run_that_is_made_up_differs(rethinking: Call, runs: Path) -> None:
    """Its score, curve and predictions fit together, and so do all checksums; it was another training."""
    for run in sorted(runs.glob("*-s0*")):
        history = pd.read_parquet(run / "history.parquet").assign(train_loss=lambda frame: frame["train_loss"] * 1.01)
        history.to_parquet(run / "history.parquet", index=False)
        text = (run / "result.json").read_text()
        loss = float(re.search(r'"train_loss": ([\d.e-]+)', text)[1])  # type: ignore[index]
        rewritten(run, train_loss=loss * 1.01)
    assert not integrity(runs).problems
    done = rethinking("verify", str(runs), "--sample", "1", "--seed", "3", *SPLITS)
    assert done.returncode == 1
    assert "differs: the losses of the first epoch differ by 0.01 of themselves, more than 0.001" in done.stdout
    assert "1 run of" in done.stdout and done.stdout.rstrip().endswith("1 different.")


def test_what_cannot_be_had_is_said_and_not_counted_as_wrong(rethinking: Call, runs: Path) -> None:
    done = rethinking("verify", str(runs), "--sample", "2", "--seed", "1")
    assert done.returncode == 1, "nothing was trained again"
    assert "is passed over: it was trained on splits of somebody's own" in done.stderr
    assert f"No run of {runs}/ could be trained again here." in done.stdout
    assert len(done.stderr.splitlines()) == 1


def test_a_broken_file_of_ones_own_is_one_sentence(rethinking: Call, runs: Path, tmp_path: Path) -> None:
    """Nothing can be looked up beside it."""
    (tmp_path / "my" / "pooling").mkdir(parents=True)
    (tmp_path / "my" / "pooling" / "mine.yaml").write_text("name: [mine")
    done = rethinking("verify", str(runs), "--sample", "1", "--config-dir", str(tmp_path / "my"), *SPLITS)
    assert done.returncode == 1 and "mine.yaml is no valid YAML" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_draws_are_named_by_their_seed(made: Path) -> None:
    results = read_results(RunStore(made / "runs"), made / "none")
    orders = [[run.name for run in drawn(results, seed, [], [])] for seed in range(20)]
    assert all(sorted(order) == sorted(orders[0]) for order in orders)
    assert len({tuple(order) for order in orders}) > 3
    assert orders[3] == [run.name for run in drawn(results, 3, ["digits"], ["graclus"])]
    assert list(in_its_group(drawn(results, 0, [], [])[0]).group) == [0, 1, 2]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "nowhere/ is neither a results folder, with a file runs.csv, nor a run store"),
        (["results", "--dataset", "nci2"], "No run is of the data set nci2; expected one of digits."),
        (["results", "--sample", "-1"], "--sample"),
        (["results", "--seed", "x"], "x is not a whole number"),
    ],
)
def test_bad_input(rethinking: Call, made: Path, tmp_path: Path, words: list[str], sentence: str) -> None:
    shutil.copytree(made / "results", tmp_path / "results")
    done = rethinking("verify", *words)
    assert done.returncode == 2 and sentence in done.stderr and len(done.stderr.splitlines()) == 1


CURVE = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [0.5, 0.4, 0.3], "val_loss": [0.6, 0.5, np.nan]})
PREDICTIONS = pd.DataFrame({"part": ["val", "test"], "graph": [0, 1], "target": [0, 1], "prediction": [0, 1]})
ALLOWED = Tolerance(first_epoch=1e-4, score=0.02)


@pytest.mark.parametrize(
    ("epoch", "factor", "score", "same", "verdict", "first"),
    [
        (1, 1.0, 0.8, True, EQUAL, 0),
        (1, 1.0 + 1e-6, 0.8, False, WITHIN, 1),
        (1, 1.0 + 1e-3, 0.8, False, DIFFERS, 1),
        (2, 1.5, 0.81, False, WITHIN, 2),
        (2, 1.5, 0.81, True, DIFFERS, 2),
        (2, 1.5, 0.83, False, DIFFERS, 2),
        (1, float("nan"), 0.8, False, DIFFERS, 1),
    ],
)
def test_verdicts(epoch: int, factor: float, score: float, same: bool, verdict: str, first: int) -> None:
    changed = CURVE.copy()
    changed.loc[epoch - 1, "train_loss"] *= factor
    found = difference(
        Trained(0.8, CURVE, PREDICTIONS, {}), Trained(score, changed, PREDICTIONS.iloc[::-1], {}), ALLOWED, same
    )
    assert (found.verdict, found.first) == (verdict, first) and bool(found.reason) == (verdict == DIFFERS)


def test_other_predictions_and_other_lengths_are_not_equal() -> None:
    stored = Trained(0.8, CURVE, PREDICTIONS, {})
    for other in (Trained(0.8, CURVE[:2], PREDICTIONS, {}), Trained(0.8, CURVE, PREDICTIONS.assign(prediction=0), {})):
        assert difference(stored, other, ALLOWED, False).verdict == WITHIN
        assert difference(stored, other, ALLOWED, True).verdict == DIFFERS
    assert difference(stored, Trained(0.8, CURVE[:2], PREDICTIONS, {}), ALLOWED, False).first == 3


def test_the_tolerance_is_the_spread_of_the_cell_or_the_margin() -> None:
    scores = pd.Series([0.7, 0.8, 0.9, 0.8, 0.8])
    assert tolerance(scores, 0.01, 1e-4, 3.0, fewest=5).score == pytest.approx(3 * scores.std())
    assert tolerance(scores[:4], 0.01, 1e-4, 3.0, fewest=5).score == 0.01


@pytest.mark.parametrize("seeds", [[0], [7], list(range(20)), [0, 3, 4, 5, 9, 12, 13]])
def test_the_seeds_of_a_group_as_text(seeds: list[int]) -> None:
    assert from_text(as_text(seeds[::-1])) == seeds
    assert from_text(float(seeds[0])) == seeds[:1]


@pytest.mark.parametrize(
    "text", [None, "", float("nan"), float("inf"), -1, "0-", "a", "0-99999999999", "0-2147483647", "1,2;3"]
)
def test_what_is_no_group_is_none(text: object) -> None:
    assert from_text(text) is None
