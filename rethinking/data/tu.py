"""Reads data sets in the format of the TU Dortmund collection (Morris et al. 2020, TUDataset)."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from rethinking.data.archive import open_zip
from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.errors import UserError


def read_tu(path: Path, name: str, prefix: str, constant_features: int, node_attributes: bool = False) -> GraphDataset:
    """The data set in the zip file or folder at `path`, with the features PyG gives it.

    prefix: the collection's own name, as in `NCI1_A.txt`.
    constant_features: the width of constant ones for graphs without node labels.
    node_attributes: whether numbers given for the nodes are features too, before the labels.
    Node labels become one-hot columns from the smallest to the largest label in use, graph labels classes 0, 1, ….
    Graph attributes, if there are any, are the numbers to predict instead.
    """
    with _tables(path, prefix) as (parts, table):
        needed = ["A", "graph_indicator"] + ["graph_labels"] * ("graph_attributes" not in parts)
        needed += ["node_attributes"] * node_attributes
        for part in needed:
            if part not in parts:
                raise UserError(f"{path} has no {prefix}_{part}.txt; expected the files of a TU data set {prefix}.")
        edge_index = table("A", np.int64).T - 1
        graph_of_node = table("graph_indicator", np.int64)[:, 0] - 1
        columns = [table("node_attributes", np.float32)] if node_attributes else []
        if "node_labels" in parts:
            # Of several labels a node the first, as everywhere in the paper.
            label = table("node_labels", np.int64)[:, 0]
            columns.append(label[:, None] == np.arange(label.min(), label.max() + 1))
        if not columns:
            columns.append(np.ones((len(graph_of_node), constant_features)))
        if "graph_attributes" in parts:
            y = table("graph_attributes", np.float32)[:, 0]
        else:
            y = np.unique(table("graph_labels", np.int64)[:, 0], return_inverse=True)[1]
    rows = {len(column) for column in columns}
    if rows != {len(graph_of_node)}:
        raise UserError(f"{path}: {len(graph_of_node)} nodes but {max(rows)} rows of labels or attributes.")
    return build_dataset(name, graph_of_node, edge_index, np.concatenate(columns, axis=1, dtype=np.float32), y)


Table = Callable[[str, type], np.ndarray]


@contextmanager
def _tables(path: Path, prefix: str) -> Iterator[tuple[set[str], Table]]:
    """The names of the parts there are, and a function that reads one as a table."""

    def parse(file: IO[bytes] | Path, dtype: type) -> np.ndarray:
        return pd.read_csv(file, header=None, dtype=dtype, skipinitialspace=True).to_numpy()

    def part(file_name: str) -> str:
        return file_name.removeprefix(f"{prefix}_").removesuffix(".txt")

    if path.is_dir():
        files = {part(file.name): file for file in path.rglob(f"{prefix}_*.txt")}
        try:
            yield set(files), lambda name, dtype: parse(files[name], dtype)
        except (ValueError, OSError) as error:
            raise UserError(f"A file in {path} cannot be read ({error}); correct it.") from error
        return
    with open_zip(path) as archive:
        entries = {Path(entry).name: entry for entry in archive.namelist()}
        members = {part(file): entry for file, entry in entries.items() if file.startswith(f"{prefix}_")}
        yield set(members), lambda name, dtype: parse(io.BytesIO(archive.read(members[name])), dtype)
