"""The benchmark for poolers: published and flat it is the same, and its pickles are data."""

import io
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy
from scipy.sparse import csr_matrix

from rethinking.configuration.composition import compose_cell, dataset_config
from rethinking.data.gcb import read_benchmark, read_published_benchmark
from rethinking.data.load import load
from rethinking.data.pickled import array_in, objects_in, read_pickle
from rethinking.data.sources import Places
from rethinking.errors import UserError

PARTS = {"tr": 4, "val": 2, "te": 3}


def as_published(content: Any) -> bytes:
    """A pickle as the benchmark's authors had it: protocol 2, numpy and scipy of 2020."""
    text = pickle.dumps(content, protocol=2)
    text = text.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    return text.replace(b"scipy.sparse._csr", b"scipy.sparse.csr")


def row_of(objects: list[Any]) -> np.ndarray:
    row = np.empty(len(objects), object)
    row[:] = objects
    return row


def published(folder: Path, pickled: Callable[[str, np.ndarray], bytes] = lambda name, row: as_published(row)) -> Path:
    """An archive of nine random graphs; `pickled` writes one of its arrays of objects."""
    rng = np.random.default_rng(0)
    flat: dict[str, list[Any]] = {"sizes": [], "edges": [], "x": [], "y": []}
    with zipfile.ZipFile(folder / "published.npz", "w") as archive:
        for part, graphs in PARTS.items():
            adjacency, features = [], []
            for _ in range(graphs):
                n, shift = int(rng.integers(3, 7)), sum(flat["sizes"])
                matrix = np.triu(rng.random((n, n)) < 0.6, 1).astype(np.float32)
                adjacency.append(csr_matrix(matrix + matrix.T))
                features.append(np.eye(5, dtype=np.float32)[rng.integers(0, 5, n)])
                flat["sizes"].append(n)
                flat["edges"].append(np.stack(np.nonzero(matrix + matrix.T)) + shift)
            classes = np.eye(3, dtype=np.float32)[rng.integers(0, 3, graphs)]
            flat["x"] += features
            flat["y"].append(classes.argmax(axis=1))
            for name, row in ((f"{part}_adj", row_of(adjacency)), (f"{part}_feat", row_of(features))):
                file = io.BytesIO()
                npy.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": row.shape})
                archive.writestr(f"{name}.npy", file.getvalue() + pickled(name, row))
            file = io.BytesIO()
            np.save(file, classes)
            archive.writestr(f"{part}_class.npy", file.getvalue())
    np.savez(
        folder / "flat.npz",
        sizes=flat["sizes"],
        edge_index=np.concatenate(flat["edges"], axis=1),
        x=np.concatenate(flat["x"]),
        y=np.concatenate(flat["y"]),
    )
    return folder / "published.npz"


def test_the_published_form_and_the_flat_one_are_the_same_graphs(tmp_path: Path) -> None:
    dataset = read_published_benchmark(published(tmp_path), "gcb")
    assert len(dataset) == 9 and not dataset.directed and dataset.in_features == 5 and dataset.kinds is not None
    assert dataset.fingerprint == read_benchmark(tmp_path / "flat.npz", "gcb").fingerprint


def test_what_a_pickle_names_is_never_imported_or_called(tmp_path: Path) -> None:
    class Elsewhere:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "was here",)

    for content in (Elsewhere(), row_of([Elsewhere()]), row_of([csr_matrix(np.eye(2)), Elsewhere()])):
        path = published(tmp_path, lambda name, row, content=content: as_published(content))
        with pytest.raises(UserError, match="does not hold the benchmark as it was published"):
            read_published_benchmark(path, "gcb")
    assert "touch" in str(read_pickle(as_published(Elsewhere())))
    assert not (tmp_path / "was here").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle",
        as_published([1, 2])[:-1],
        b"\x80\x02]q\x00(K\x01e.",  # a list and no array
        b"\x80\x02(l.",  # an instruction that is not needed
        b"\x80\x02h\x05.",  # what was never kept
        b"\x80\x02u.",  # no mark
        b"\x80\x02]}b.",  # a state for what is no object
        b"\x80\x02X\xff\xff\xff\x7fa.",  # a text longer than the file
        pickle.dumps(np.ones(3), protocol=4),
    ],
)
def test_other_pickles_are_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = published(tmp_path, lambda name, row: content)
    with pytest.raises(UserError, match="does not hold the benchmark as it was published"):
        read_published_benchmark(path, "gcb")


def test_arrays_are_those_that_were_pickled() -> None:
    rng = np.random.default_rng(0)
    square = np.asfortranarray(rng.random((3, 4)))
    for array in (square, square.T.copy(), rng.integers(0, 9, 5).astype(np.int32), np.float32(rng.random((2, 3)))):
        (read,) = objects_in(read_pickle(as_published(row_of([array]))))
        assert array_in(read).dtype == array.dtype and np.array_equal(array_in(read), array)
    for other in (np.array([1j]), np.array(["text"]), np.ones(3, ">f4")):
        with pytest.raises(ValueError, match="array"):
            array_in(read_pickle(as_published(other)))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"indices": np.array([0, 9], np.int32)}, "entry outside"),
        ({"indices": np.array([0, -1], np.int32)}, "entry outside"),
        ({"indptr": np.array([0, 2, 1], np.int32)}, "do not fit"),
        ({"indptr": np.array([0, 1, 9], np.int32)}, "do not fit"),
        ({"data": None}, "something else where an array is expected"),
    ],
)
def test_a_matrix_that_does_not_fit_itself(tmp_path: Path, changed: dict[str, Any], expected: str) -> None:
    """scipy would follow such indices; here they are refused."""
    matrix = csr_matrix(np.eye(2, dtype=np.float32))
    vars(matrix).update(changed)
    path = published(tmp_path, lambda name, row: as_published(row_of([matrix])))
    with pytest.raises(UserError, match=expected):
        read_published_benchmark(path, "gcb")


@pytest.mark.parametrize("name", ["gcb_easy", "gcb_hard"])
def test_a_download_is_read_only_if_it_is_the_file_that_was_published(name: str, tmp_path: Path) -> None:
    path = published(tmp_path)
    config = dataset_config(name)
    assert config.upstream is not None and config.upstream.raw is not None
    raw = replace(config.upstream.raw, url=path.as_uri())
    config = replace(config, upstream=replace(config.upstream, raw=raw))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"damaged or another version.* delete it to download"):
        load(config, Places(str(tmp_path / "empty"), str(tmp_path / "cache")))


@pytest.mark.parametrize("name", ["gcb_easy", "gcb_hard"])
def test_the_parts_are_those_of_the_file(name: str, mirror: Path, tmp_path: Path) -> None:
    config = dataset_config(name)
    dataset = load(config, Places(str(mirror), str(tmp_path)))
    assert (len(dataset), dataset.classes, dataset.in_features) == (300, 3, 5) and dataset.kinds is not None
    assert np.bincount(dataset.y).tolist() == [100, 100, 100]
    split = compose_cell(["model=graclus", "pooling=learned", f"dataset={name}"]).splitter()(dataset, 0)
    assert config.raw is not None
    part = np.load(mirror / config.raw.file)["part"]
    for number, graphs in enumerate((split.train, split.val, split.test)):
        assert np.array_equal(np.flatnonzero(part == number), graphs)
