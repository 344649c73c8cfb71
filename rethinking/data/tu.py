"""Reads the zip files of the TU Dortmund collection (Morris et al. 2020, TUDataset)."""

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.errors import UserError


def read_tu(path: Path, name: str, prefix: str, constant_features: int) -> GraphDataset:
    """The data set in the zip file at `path`, with the features PyG gives it.

    prefix: the collection's own name, as in `NCI1_A.txt`.
    constant_features: the width of constant ones for graphs without node labels.
    Node labels become one-hot columns from the smallest to the largest label in use.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {Path(entry).name: entry for entry in archive.namelist()}

            def table(part: str) -> np.ndarray:
                entry = members.get(f"{prefix}_{part}.txt")
                if entry is None:
                    raise UserError(f"{path} has no {prefix}_{part}.txt; expected the TU collection's {prefix}.zip.")
                text = io.BytesIO(archive.read(entry))
                return pd.read_csv(text, header=None, dtype=np.int64, skipinitialspace=True).to_numpy()

            edge_index = table("A").T - 1
            graph_of_node = table("graph_indicator")[:, 0] - 1
            labels = table("graph_labels")[:, 0]
            if f"{prefix}_node_labels.txt" in members:
                node_label = table("node_labels")[:, 0]
                columns = np.arange(node_label.min(), node_label.max() + 1)
                x = (node_label[:, None] == columns).astype(np.float32)
            else:
                x = np.ones((len(graph_of_node), constant_features), dtype=np.float32)
    # zipfile lets through what zlib and the file system say; RuntimeError: an encrypted member.
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, RuntimeError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it or replace it by a whole copy.") from error
    _, y = np.unique(labels, return_inverse=True)
    return build_dataset(name, graph_of_node, edge_index, x, y)
