"""ZINC: 12,000 molecules with a number to predict (Dwivedi et al. 2020)."""

import shutil
import tempfile
from pathlib import Path

import numpy as np

from rethinking.data.archive import open_zip, read_arrays, zip_member
from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.data.pyg import read_pyg

PARTS = ("train", "val", "test")


def read_zinc(path: Path, name: str, atom_types: int) -> GraphDataset:
    """The graphs of an `.npz` archive: its parts train, val and test one after another.

    The archive has, for each part, `num_nodes`, `num_edges` and `y` [graphs], `atom_type` [nodes] and `edge_index`
    [2, edges], with nodes counted within their graph. Features: the atom type, one-hot. Bond types are not used.
    """
    keys = ("num_nodes", "num_edges", "atom_type", "edge_index", "y")
    arrays = read_arrays(path, [f"{part}_{key}" for part in PARTS for key in keys])

    def all_parts(key: str, axis: int = 0) -> np.ndarray:
        return np.concatenate([arrays[f"{part}_{key}"] for part in PARTS], axis=axis)

    sizes = all_parts("num_nodes").astype(np.int64)
    first = np.repeat(np.cumsum(sizes) - sizes, all_parts("num_edges"))
    x = all_parts("atom_type")[:, None] == np.arange(atom_types)
    graph_of_node = np.repeat(np.arange(len(sizes)), sizes)
    edge_index = all_parts("edge_index", axis=1).astype(np.int64) + first
    return build_dataset(name, graph_of_node, edge_index, x.astype(np.float32), all_parts("y").astype(np.float32))


def read_molecules(path: Path, name: str, atom_types: int) -> GraphDataset:
    """The same from the archive of pickles that PyG's `ZINC(subset=True)` downloads, by that class.

    path: a zip file with `train.pickle` and so on; beside it lie `train.index` and so on, which graphs are meant.
    Reading pickles can run code, so the caller knows where the file is from.
    """
    # Late: it imports all of PyG's data sets.
    from torch_geometric.datasets import ZINC

    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        raw.mkdir()
        with open_zip(path) as archive:
            for part in PARTS:
                pickled = archive.read(zip_member(archive, path, f"{part}.pickle"))
                (raw / f"{part}.pickle").write_bytes(pickled)
                shutil.copy(path.with_name(f"{part}.index"), raw)
        datasets = [ZINC(folder, subset=True, split=part) for part in PARTS]
        return read_pyg(None, name, datasets, one_hot=atom_types)
