"""What is in the cache is used only as it was written; what is damaged is made anew, what killed writers left goes."""

import errno
import json
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rethinking.configuration.composition import dataset_config
from rethinking.data import load as loading
from rethinking.data.bounds import check_bounds
from rethinking.data.dataset import GraphDataset
from rethinking.data.load import MANIFEST, cache_folder, load
from rethinking.data.scratch import scratch
from rethinking.data.sources import Places
from rethinking.errors import UserError
from tests.conftest import random_dataset

DIGITS = dataset_config("digits")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(mirror=None, cache=str(tmp_path))


@pytest.fixture
def folder(places: Places, digits: GraphDataset, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of the digits, filled; they are not read again from what scikit-learn has, which takes seconds."""
    monkeypatch.setattr(loading, "_read", lambda *arguments: digits)
    load(DIGITS, places)
    return cache_folder(DIGITS.name, DIGITS.sources[0], places)


def rewrite(folder: Path, name: str, array: np.ndarray, checksum: bool) -> None:
    """Put another array into a cached data set; checksum: and one that fits into its manifest."""
    np.save(folder / f"{name}.npy", array, allow_pickle=True)
    if checksum:
        manifest = json.loads((folder / MANIFEST).read_text())
        manifest["files"][name] = loading._checksum(folder / f"{name}.npy")
        (folder / MANIFEST).write_text(json.dumps(manifest))


def test_another_target_is_noticed(folder: Path, places: Places, caplog: pytest.LogCaptureFixture) -> None:
    """A file of the same size, which the manifest says to have the true fingerprint."""
    y = np.load(folder / "y.npy")
    rewrite(folder, "y", y[::-1], checksum=False)
    assert np.array_equal(load(DIGITS, places).y, y)
    assert "y.npy is not as it was written" in caplog.text and "made anew" in caplog.text
    caplog.clear()
    load(DIGITS, places)
    assert not caplog.text


def test_the_files_are_read_once_a_process(folder: Path, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    load(DIGITS, places)
    monkeypatch.setattr(loading, "_checksum", None)
    load(DIGITS, places)


@pytest.mark.parametrize(
    ("name", "wild"),
    [("in_rows", 2**40), ("in_rows", -1), ("in_ptr", 2**40), ("node_ptr", -5), ("out_rows", 0), ("y", -1)],
)
def test_no_index_leads_outside(folder: Path, places: Places, name: str, wild: int) -> None:
    """With a checksum that fits: such a file would end in compiled code, and the process with it."""
    array = np.load(folder / f"{name}.npy")
    array[len(array) // 2] = wild
    rewrite(folder, name, array, checksum=True)
    assert load(DIGITS, places).fingerprint == DIGITS.fingerprint
    assert not np.array_equal(np.load(folder / f"{name}.npy"), array), "it was not made anew"


class Touch:
    """Unpickling it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(folder: Path, places: Places, tmp_path: Path) -> None:
    rewrite(folder, "y", np.array([Touch(tmp_path / "touched")], dtype=object), checksum=True)
    assert len(load(DIGITS, places)) == 1797
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: [],
        lambda manifest: {**manifest, "files": {**manifest["files"], "../outside": [0, 0]}},
        lambda manifest: {**manifest, "files": {"x": manifest["files"]["x"]}},
        lambda manifest: {**manifest, "files": {name: 3 for name in manifest["files"]}},
        lambda manifest: {**manifest, "categorical": [3, 4]},
        lambda manifest: {**manifest, "fingerprint": "0" * 16},
    ],
)
def test_a_strange_manifest_is_made_anew(folder: Path, places: Places, change: Any) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    assert load(DIGITS, places).fingerprint == DIGITS.fingerprint
    assert json.loads(path.read_text())["fingerprint"] == DIGITS.fingerprint


def test_a_full_disk_leaves_nothing_behind(
    folder: Path, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    shutil.rmtree(folder)
    monkeypatch.setattr(np, "save", full)
    assert len(load(DIGITS, places)) == 1797
    assert "could not be kept" in caplog.text
    assert list((tmp_path / "processed").iterdir()) == []


def test_what_another_process_has_just_written_stays(folder: Path, digits: GraphDataset) -> None:
    """It may be reading it."""
    before = (folder / MANIFEST).stat().st_ino
    loading._write_cache(digits, folder, replace=False)
    assert (folder / MANIFEST).stat().st_ino == before
    loading._write_cache(digits, folder, replace=True)
    assert (folder / MANIFEST).stat().st_ino != before


def _write_and_wait(place: Path, written: Any) -> None:
    with scratch(place) as part:
        (part / "x.npy").write_bytes(b"half")
        written.put(part)
        time.sleep(60)


def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    written = context.Queue()
    process = context.Process(target=_write_and_wait, args=(tmp_path / "place", written))
    process.start()
    part: Path = written.get(timeout=60)
    with scratch(tmp_path / "place") as mine:
        assert part.exists() and mine != part
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert part.exists()
    with scratch(tmp_path / "place") as mine:
        assert list(tmp_path.iterdir()) == [mine]
    assert list(tmp_path.iterdir()) == []


def wild(path: None, name: str) -> GraphDataset:
    """A reader of one's own whose edges lead outside."""
    dataset = random_dataset(1)
    return replace(dataset, in_rows=dataset.in_rows + 2**40)


def nothing(path: None, name: str) -> None:
    """A reader of one's own that gives no data set."""


@pytest.mark.parametrize(("reader", "text"), [("wild", "leaves its graph"), ("nothing", "expected a GraphDataset")])
def test_what_ones_own_reader_gives_is_looked_at_too(places: Places, reader: str, text: str) -> None:
    config = replace(DIGITS, read={"_target_": f"tests.data.test_cache.{reader}"})
    with pytest.raises(UserError, match=text):
        load(config, places)


def test_proper_data_sets_are_within_bounds(dataset: GraphDataset) -> None:
    check_bounds(dataset)
    check_bounds(replace(dataset, y=dataset.y.astype(np.float32)))
    for part in ("x", "y", "in_rows", "node_ptr"):
        with pytest.raises(ValueError):
            check_bounds(replace(dataset, **{part: getattr(dataset, part)[:-1]}))
    with pytest.raises(ValueError, match="float64"):
        check_bounds(replace(dataset, x=dataset.x.astype(np.float64)))
