"""A TU zip file becomes what PyG makes of it; what is wrong with it is said in one sentence."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from torch_geometric.io import read_tu_data

from rethinking.data.dataset import GraphDataset
from rethinking.data.tu import read_tu
from rethinking.errors import UserError

# Two graphs: a triangle with a repeated edge and a self-loop, and a directed-looking pair with both directions.
FILES = {
    "A": "1, 2\n2, 1\n2, 3\n3, 2\n1, 3\n3, 1\n1, 2\n2, 2\n4, 5\n5, 4\n",
    "graph_indicator": "1\n1\n1\n2\n2\n",
    "graph_labels": "1\n-1\n",
    "node_labels": "3\n5\n3\n4\n3\n",
}


def write(path: Path, files: dict[str, str], prefix: str = "TOY") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for part, text in files.items():
            archive.writestr(f"{prefix}/{prefix}_{part}.txt", text)
    return path


def read(path: Path, node_attributes: bool = False) -> GraphDataset:
    return read_tu(path, "toy", prefix="TOY", constant_features=10, node_attributes=node_attributes)


def assert_equals_pyg(ours: GraphDataset, folder: Path, prefix: str) -> None:
    data, slices, _ = read_tu_data(str(folder), prefix)
    sizes = np.diff(slices["x"].numpy()) if "x" in slices else np.array(data._num_nodes)
    assert np.array_equal(ours.sizes, sizes)
    assert np.array_equal(ours.y, data.y.numpy())
    edges = data.edge_index.numpy() + np.repeat(ours.node_ptr[:-1], np.diff(slices["edge_index"].numpy()))
    assert set(map(tuple, ours.edge_index.T.tolist())) == set(map(tuple, edges.T.tolist()))
    assert ours.edge_index.shape == edges.shape
    if data.x is not None:
        assert np.array_equal(ours.x, data.x.numpy())


def test_equals_pyg(tmp_path: Path) -> None:
    ours = read(write(tmp_path / "TOY.zip", FILES))
    zipfile.ZipFile(tmp_path / "TOY.zip").extractall(tmp_path)
    assert_equals_pyg(ours, tmp_path / "TOY", "TOY")
    assert not ours.directed
    assert ours.x.shape == (5, 3)


@pytest.mark.parametrize("prefix", ["MUTAG", "IMDB-BINARY", pytest.param("NCI1", marks=pytest.mark.slow)])
def test_the_real_files_equal_pyg(mirror: Path, tmp_path: Path, prefix: str) -> None:
    """Of graphs with labels of nodes, and without."""
    file = mirror / "tu" / f"{prefix}.zip"
    ours = read_tu(file, "real", prefix=prefix, constant_features=10)
    zipfile.ZipFile(file).extractall(tmp_path)
    assert_equals_pyg(ours, tmp_path / prefix, prefix)


def test_a_folder_is_as_good_as_a_zip_file(tmp_path: Path) -> None:
    ours = read(write(tmp_path / "TOY.zip", FILES))
    zipfile.ZipFile(tmp_path / "TOY.zip").extractall(tmp_path)
    assert read(tmp_path / "TOY").fingerprint == ours.fingerprint
    (tmp_path / "TOY" / "TOY_A.txt").write_text("1, x\n")
    with pytest.raises(UserError, match=r"A file in .*TOY cannot be read"):
        read(tmp_path / "TOY")
    (tmp_path / "TOY" / "TOY_A.txt").unlink()
    with pytest.raises(UserError, match=r"has no TOY_A\.txt"):
        read(tmp_path / "TOY")


def test_attributes_of_nodes_and_graphs_are_as_pygs(tmp_path: Path) -> None:
    files = FILES | {"node_attributes": "0.5, 1\n1.5, 2\n2.5, 3\n3.5, 4\n4.5, 5\n", "graph_attributes": "0.25\n-3.5\n"}
    del files["graph_labels"]
    ours = read(write(tmp_path / "TOY.zip", files), node_attributes=True)
    zipfile.ZipFile(tmp_path / "TOY.zip").extractall(tmp_path)
    assert_equals_pyg(ours, tmp_path / "TOY", "TOY")
    assert ours.x.shape == (5, 5) and ours.classes == 0
    with pytest.raises(UserError, match=r"has no TOY_node_attributes\.txt"):
        read(write(tmp_path / "other.zip", FILES), node_attributes=True)


@pytest.mark.parametrize("outside", ["../TOY_A.txt", "/tmp/TOY_A.txt", "TOY/../../TOY_A.txt", "..\\TOY_A.txt"])
def test_a_zip_file_that_names_paths_outside(tmp_path: Path, outside: str) -> None:
    path = write(tmp_path / "TOY.zip", FILES)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(outside, "1, 2\n")
    with pytest.raises(UserError, match="names a file outside of its own folder"):
        read(path)


def test_graphs_without_node_labels_get_constant_ones(tmp_path: Path) -> None:
    ours = read(write(tmp_path / "TOY.zip", {k: v for k, v in FILES.items() if k != "node_labels"}))
    assert np.array_equal(ours.x, np.ones((5, 10)))


@pytest.mark.parametrize(
    ("part", "text", "expected"),
    [
        ("A", FILES["A"] + "5, 6\n", "an edge names node 6 of 5"),
        ("A", FILES["A"] + "3, 4\n", "different graphs"),
        ("A", FILES["A"] + "0, 1\n", "an edge names node 0 of 5"),
        ("graph_labels", "1\n-1\n1\n", r"graph 3 has no nodes \(1 of 3 graphs\)"),
        ("graph_indicator", "1\n1\n1\n2\n3\n", "nodes are of 3 graphs but there are 2 graph labels"),
        ("graph_indicator", "1\n2\n1\n2\n2\n", "do not lie together"),
        ("node_labels", "3\n5\n3\n4\n", "5 nodes but 4 rows of labels"),
        ("A", "1, x\n", "is damaged"),
        ("A", None, "has no TOY_A.txt"),
    ],
)
def test_damaged_content(tmp_path: Path, part: str, text: str | None, expected: str) -> None:
    files = {**FILES, part: text}
    path = write(tmp_path / "TOY.zip", {key: value for key, value in files.items() if value is not None})
    with pytest.raises(UserError, match=expected):
        read(path)


def test_a_zip_with_a_broken_stream(tmp_path: Path) -> None:
    path = tmp_path / "TOY.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, text in FILES.items():
            archive.writestr(f"TOY/TOY_{part}.txt", text * (500 if part == "A" else 1))
    content = bytearray(path.read_bytes())
    content[40:70] = bytes(30)
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match=r"TOY\.zip is damaged"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"not a zip"])
def test_no_zip_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "TOY.zip").write_bytes(content)
    with pytest.raises(UserError, match=r"TOY\.zip is damaged"):
        read(tmp_path / "TOY.zip")


def test_a_zip_with_a_flipped_byte(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for part, text in FILES.items():
            archive.writestr(f"TOY/TOY_{part}.txt", text)
    content = bytearray(buffer.getvalue())
    position = content.index(b"2, 1\n")
    content[position] ^= 1
    (tmp_path / "TOY.zip").write_bytes(bytes(content))
    with pytest.raises(UserError, match=r"TOY\.zip is damaged"):
        read(tmp_path / "TOY.zip")
