"""MOLHIV: molecules in the form of the Open Graph Benchmark (Hu et al. 2020), from its raw files."""

from pathlib import Path

import numpy as np
import pandas as pd

from rethinking.data.archive import DAMAGE, open_zip, zip_member
from rethinking.data.dataset import GraphDataset, build_dataset
from rethinking.errors import UserError
from rethinking.graphs.fields import Fields

PARTS = ("train", "valid", "test")


def read_ogb_molecules(
    path: Path, name: str, split: str, atom_fields: list[int], bond_fields: list[int]
) -> GraphDataset:
    """The molecules in a folder or zip file as OGB has them, ordered by `split`: train, valid, test.

    Features are categorical: `atom_fields` and `bond_fields` say how many values each field has. A bond is listed once
    in the raw files and becomes an edge in each direction. Raises UserError for a damaged or missing file.
    """
    numbers = {part: _table(path, f"split/{split}/{part}.csv.gz")[:, 0] for part in PARTS}
    order = np.concatenate(list(numbers.values()))
    label = _table(path, "raw/graph-label.csv.gz")[:, 0]
    nodes, bonds = (_table(path, f"raw/num-{what}-list.csv.gz")[:, 0] for what in ("node", "edge"))
    atoms, bond, bond_fields_of = (
        _table(path, f"raw/{what}.csv.gz") for what in ("node-feat", "edge", "edge-feat")
    )  # fmt: skip
    if not len(label) == len(nodes) == len(bonds) == len(np.unique(order)) == len(order):
        raise UserError(f"{path}: the split, labels and counts are of different numbers of molecules.")
    if nodes.sum() != len(atoms) or bonds.sum() != len(bond) or len(bond) != len(bond_fields_of):
        raise UserError(f"{path}: the counts of atoms or bonds do not fit their lists.")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    graph_of_atom = place[np.repeat(np.arange(len(nodes)), nodes)]
    row = np.argsort(graph_of_atom, kind="stable")
    row_of_atom = np.empty_like(row)
    row_of_atom[row] = np.arange(len(row))
    first = np.repeat(np.cumsum(nodes) - nodes, bonds)
    ends = row_of_atom[bond.T + first]
    return build_dataset(
        name,
        graph_of_atom[row],
        np.concatenate([ends, ends[::-1]], axis=1),
        atoms[row].astype(np.float32),
        label[order],
        np.concatenate([bond_fields_of, bond_fields_of]),
        Fields(tuple(atom_fields), tuple(bond_fields)),
    )


def _table(path: Path, member: str) -> np.ndarray:
    """A table of whole numbers from a folder, or from a zip file whatever folder its members are in."""
    if path.is_dir():
        try:
            return _numbers(path / member)
        except FileNotFoundError:
            raise UserError(f"{path} has no {member}; replace it by a whole copy.") from None
        except DAMAGE as error:
            raise UserError(f"{member} in {path} is damaged ({error}); replace it by a whole copy.") from error
    with open_zip(path) as archive, archive.open(zip_member(archive, path, member)) as file:
        return _numbers(file)


def _numbers(file: object) -> np.ndarray:
    return pd.read_csv(file, header=None, dtype=np.int64, compression="gzip").to_numpy()  # type: ignore[call-overload]
