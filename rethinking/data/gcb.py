"""The benchmark made for poolers: graphs that neither their nodes' colours nor their structure alone tell apart.

Bianchi, Gallicchio and Micheli 2022, "Pyramidal reservoir graph neural network", Neurocomputing 470 (arXiv 2104.04710).
"""

import io
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from rethinking.data.archive import open_zip, read_arrays, zip_member
from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.data.pickled import Made, array_in, objects_in, read_pickle
from rethinking.errors import UserError

PARTS = ("tr", "val", "te")
LARGEST = 2**26  # bytes of a member that is opened; the large sets of the benchmark, which have other files, have 2**24


def read_benchmark(path: Path, name: str) -> GraphDataset:
    """The graphs of a flat `.npz` archive: training, validation and test graphs one after another.

    The archive has `sizes`, `y` [graphs], `x` [nodes, colours] (one-hot) and `edge_index` [2, edges], with nodes
    counted over all graphs and edges in both directions.
    """
    arrays = read_arrays(path, ("sizes", "x", "y", "edge_index"))
    return _graphs(name, arrays["sizes"], arrays["edge_index"], arrays["x"], arrays["y"])


def read_published_benchmark(path: Path, name: str) -> GraphDataset:
    """The same graphs from the file that was published, an `.npz` archive of pickled matrices.

    That has, for training, validation and test, rows of sparse matrices (`_adj`) and of matrices of features (`_feat`),
    and one-hot classes (`_class`). The pickles are read as data, see `pickled.py`.
    """
    with open_zip(path) as archive:
        try:
            adjacency = [_entries(matrix) for part in PARTS for matrix in _objects(archive, path, f"{part}_adj")]
            x = [array_in(matrix) for part in PARTS for matrix in _objects(archive, path, f"{part}_feat")]
        except ValueError as error:
            raise UserError(f"{path} does not hold the benchmark as it was published ({error}).") from error
    classes = read_arrays(path, [f"{part}_class" for part in PARTS])
    y = np.concatenate([one_hot.argmax(axis=1) for one_hot in classes.values()])
    sizes = np.array([size for size, _ in adjacency])
    first = np.cumsum(sizes) - sizes
    edges = [edge_index + shift for (_, edge_index), shift in zip(adjacency, first, strict=True)]
    return _graphs(name, sizes, np.concatenate(edges, axis=1), np.concatenate(x), y)


def _graphs(name: str, sizes: np.ndarray, edge_index: np.ndarray, x: np.ndarray, y: np.ndarray) -> GraphDataset:
    sizes = sizes.astype(np.int64)
    graph_of_node = np.repeat(np.arange(len(sizes)), sizes)
    return build_dataset(name, graph_of_node, edge_index.astype(np.int64), x.astype(np.float32), y.astype(np.int64))


def _objects(archive: ZipFile, path: Path, array: str) -> list[Any]:
    """What a member of the archive has, one for each graph. Raises ValueError if it is no row of objects."""
    member = archive.getinfo(zip_member(archive, path, f"{array}.npy"))
    if member.file_size > LARGEST:
        raise ValueError(f"{array} has {member.file_size} bytes; expected {LARGEST} at most")
    file = io.BytesIO(archive.read(member))
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    return objects_in(read_pickle(file.read()))


def _entries(matrix: Any) -> tuple[int, np.ndarray]:
    """The number of nodes and the edges, [2, edges], of a graph whose adjacency has compressed rows."""
    match matrix:
        case Made("scipy.sparse.csr csr_matrix", (), dict(state)):
            pass
        case _:
            raise ValueError("a graph is no sparse matrix")
    data, ptr, column = (array_in(state.get(key)) for key in ("data", "indptr", "indices"))
    nodes = len(ptr) - 1
    if ptr[:1] != 0 or ptr[-1:] != len(column) or np.any(np.diff(ptr) < 0) or data.shape != column.shape:
        raise ValueError("the rows of a sparse matrix do not fit its entries")
    row = np.repeat(np.arange(nodes), np.diff(ptr))
    if np.any(column < 0) or np.any(column >= nodes):
        raise ValueError("a sparse matrix has an entry outside")
    kept = data != 0
    return nodes, np.stack([row[kept], column[kept]])
