"""Superpixels and ZINC from NumPy archives: small ones made here, and the real ones where they are."""

import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from rethinking.commands.data import unlike_published
from rethinking.configuration.composition import compose_cell, dataset_config
from rethinking.data import archive
from rethinking.data.dataset import GraphDataset
from rethinking.data.load import load
from rethinking.data.neighbours import nearest_by_similarity, neighbour_edges
from rethinking.data.ogb import read_ogb_molecules
from rethinking.data.sources import Places
from rethinking.data.superpixels import read_superpixels
from rethinking.data.zinc import read_zinc
from rethinking.errors import UserError
from rethinking.graphs.fields import Fields
from rethinking.tasks.ogb import OGBClassification
from rethinking.tasks.regression import Regression

SUPERPIXELS = {"train": 3, "test": 2}
MOLECULES = {"train": 4, "val": 2, "test": 3}


def superpixels(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    arrays = {}
    for part, graphs in SUPERPIXELS.items():
        sizes = rng.integers(10, 20, graphs)
        arrays |= {
            f"{part}_mean": rng.random(sizes.sum(), dtype=np.float32),
            f"{part}_pos": 27 * rng.random((sizes.sum(), 2), dtype=np.float32),
            f"{part}_num_nodes": sizes.astype(np.uint8),
            f"{part}_label": np.arange(graphs).astype(np.uint8),
        }
    np.savez(folder / "superpixels.npz", **arrays)
    return folder / "superpixels.npz"


def molecules(folder: Path, **changed: np.ndarray) -> Path:
    rng = np.random.default_rng(0)
    arrays = {}
    for part, graphs in MOLECULES.items():
        # Paths of four atoms, every bond in both directions.
        path = np.array([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]], dtype=np.uint8)
        arrays |= {
            f"{part}_num_nodes": np.full(graphs, 4, np.uint8),
            f"{part}_num_edges": np.full(graphs, 6, np.uint8),
            f"{part}_atom_type": rng.integers(0, 28, 4 * graphs).astype(np.uint8),
            f"{part}_edge_index": np.tile(path, graphs),
            f"{part}_y": rng.normal(size=graphs).astype(np.float32),
        }
    np.savez(folder / "zinc.npz", **(arrays | changed))
    return folder / "zinc.npz"


def test_superpixels_point_to_their_eight_most_similar(tmp_path: Path) -> None:
    """The recipe of the specification, written out for one graph."""
    path = superpixels(tmp_path)
    dataset = read_superpixels(path, "smnist", neighbours=8)
    arrays = np.load(path)
    assert len(dataset) == 5 and dataset.directed
    assert np.array_equal(dataset.y, [0, 1, 2, 0, 1])
    n = dataset.sizes[0]
    centre = arrays["train_pos"][:n].astype(float) / 28
    assert np.allclose(dataset.x[:n], np.column_stack([arrays["train_mean"][:n], centre]))
    d = np.linalg.norm(centre[:, None] - centre, axis=-1)
    sigma = np.array([np.sort(row)[1:9].mean() for row in d])
    m = np.exp(-((d / sigma[:, None]) ** 2))
    w = (m + m.T) / 2
    expected = {(i, j) for i in range(n) for j in sorted(set(range(n)) - {i}, key=lambda j: -w[i, j])[:8]}
    edges = {(i, j) for i, j in dataset.edge_index.T if i < n}
    assert edges == expected
    ranked = nearest_by_similarity(centre[None], 8)[0]
    assert {(i, j) for i in range(n) for j in ranked[i]} == expected


def test_graphs_of_few_nodes_have_fewer_neighbours() -> None:
    edges = neighbour_edges(np.array([3, 1, 2, 3]), np.random.default_rng(0).random((9, 2)), 8, "tiny")
    pairs = [(0, 1), (0, 2), (1, 2), (4, 5), (6, 7), (6, 8), (7, 8)]
    assert sorted(map(tuple, edges.T.tolist())) == sorted(pairs + [(j, i) for i, j in pairs])


def test_zincs_atoms_are_one_hot_and_its_targets_as_they_are(tmp_path: Path) -> None:
    path = molecules(tmp_path)
    dataset = read_zinc(path, "zinc", atom_types=28)
    arrays = np.load(path)
    assert len(dataset) == 9 and not dataset.directed
    assert dataset.x.shape == (36, 28)
    assert np.array_equal(dataset.x.argmax(axis=1)[:16], arrays["train_atom_type"])
    assert dataset.y.dtype == np.float32
    assert np.array_equal(dataset.y[4:6], arrays["val_y"])
    assert dataset.statistics()["edges"] == 3
    assert dataset.classes == 0


def test_damage_is_one_sentence(tmp_path: Path) -> None:
    path = molecules(tmp_path, val_y=np.array([1.0, np.nan], np.float32))
    with pytest.raises(UserError, match="some targets are not finite"):
        read_zinc(path, "zinc", atom_types=28)
    with pytest.raises(UserError, match=r"has no train_mean, train_pos"):
        read_superpixels(path, "smnist", neighbours=8)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match="damaged"):
        read_zinc(path, "zinc", atom_types=28)
    objects = tmp_path / "objects.npz"
    np.savez(objects, train_num_nodes=np.array([{}], dtype=object))
    with pytest.raises(UserError, match="has no"):
        read_zinc(objects, "zinc", atom_types=28)


def test_what_cannot_be_downloaded_says_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"zinc_12k\.npz is not here.* put it at .*zinc/zinc_12k\.npz"):
        load(replace(dataset_config("zinc"), upstream=None), Places(str(tmp_path), str(tmp_path)))


OGB = {
    "split/scaffold/train": [2, 0],
    "split/scaffold/valid": [3],
    "split/scaffold/test": [1],
    "raw/graph-label": [0, 1, 0, 1],
    "raw/num-node-list": [2, 1, 3, 2],
    "raw/num-edge-list": [1, 0, 2, 1],
    "raw/edge": [[0, 1], [0, 1], [1, 2], [0, 1]],
    "raw/edge-feat": [[0, 1], [2, 0], [1, 1], [2, 1]],
    "raw/node-feat": [[4, 0], [3, 0], [2, 0], [0, 1], [1, 1], [2, 1], [4, 1], [3, 1]],
}


def ogb(folder: Path, **changed: list) -> Path:
    renamed = {key.replace("__", "/").replace("_", "-"): rows for key, rows in changed.items()}
    for member, rows in (OGB | renamed).items():
        path = folder / "hiv" / f"{member}.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(path, header=False, index=False, compression="gzip")
    return folder / "hiv"


def read_ogb(path: Path) -> GraphDataset:
    return read_ogb_molecules(path, "molhiv", split="scaffold", atom_fields=[5, 2], bond_fields=[3, 2])


def test_molecules_are_ordered_by_their_split_and_keep_their_bonds(tmp_path: Path) -> None:
    dataset = read_ogb(ogb(tmp_path))
    assert dataset.fields == Fields((5, 2), (3, 2))
    # Molecules 2 and 0 train, 3 validates, 1 tests.
    assert dataset.y.tolist() == [0, 0, 1, 1]
    assert dataset.sizes.tolist() == [3, 2, 2, 1]
    assert dataset.x[:, 0].tolist() == [0, 1, 2, 4, 3, 4, 3, 2]
    bonds = {(i, j): tuple(fields) for (i, j), fields in zip(dataset.edge_index.T, dataset.edge_fields, strict=True)}
    once = {(0, 1): (2, 0), (1, 2): (1, 1), (3, 4): (0, 1), (5, 6): (2, 1)}
    assert bonds == once | {(j, i): fields for (i, j), fields in once.items()}
    with zipfile.ZipFile(tmp_path / "hiv.zip", "w") as archive:
        for path in (tmp_path / "hiv").rglob("*.gz"):
            archive.write(path, path.relative_to(tmp_path))
    assert read_ogb(tmp_path / "hiv.zip").fingerprint == dataset.fingerprint


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"raw__num_node_list": [2, 1, 3, 9]}, "counts of atoms or bonds"),
        ({"split__scaffold__valid": [1]}, "different numbers of molecules"),
        ({"raw__node_feat": [[9, 0]] * 8}, "not whole numbers below 5, 2"),
    ],
)
def test_molecules_that_do_not_fit_together(tmp_path: Path, changed: dict[str, list], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        read_ogb(ogb(tmp_path, **changed))


def test_a_damaged_or_missing_table_of_molecules(tmp_path: Path) -> None:
    path = ogb(tmp_path)
    (path / "raw" / "edge.csv.gz").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"raw/edge\.csv\.gz in .* is damaged"):
        read_ogb(path)
    (path / "raw" / "edge.csv.gz").unlink()
    with pytest.raises(UserError, match=r"has no raw/edge\.csv\.gz"):
        read_ogb(path)


def test_the_area_under_the_curve() -> None:
    """The share of pairs of a positive and a negative that are in the right order, ties half."""
    margin = torch.tensor([[0.1, 0.4, 0.4, 0.8], [1.0, 2.0, 3.0, 4.0]])
    prediction = torch.stack([torch.zeros(2, 4), margin], dim=-1)
    task = OGBClassification("ogbg-molhiv")
    assert task.metric == "rocauc" and task.higher_is_better
    score = task.score(prediction, torch.tensor([[0, 0, 1, 1], [1, 1, 0, 0]]))
    assert score.tolist() == [(2 + 1.5) / 4, 0.0]
    assert torch.isnan(task.score(prediction, torch.zeros(2, 4, dtype=torch.int64))).all()


@pytest.mark.parametrize("name", ["ogbg-molpcba", "ogbg-molesol", "nothing"])
def test_other_metrics_of_ogb_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"expected one, rocauc|Invalid dataset name"):
        OGBClassification(name)


def test_what_a_task_is_is_known_without_the_package() -> None:
    """It imports all of PyG, which takes longer than a table."""
    code = (
        "import sys\n"
        "from rethinking.tasks.ogb import OGBClassification\n"
        "task = OGBClassification('ogbg-molhiv')\n"
        "print(task.metric, 'ogb' in sys.modules, 'torch_geometric' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["rocauc", "False", "False"]


def test_ogb_does_not_look_for_a_newer_version() -> None:
    """Its package would import another that starts a thread, which asks a package index."""
    columns = {"target": np.array([0, 1]), "prediction": np.array([0, 1], np.float32)}
    assert OGBClassification("ogbg-molhiv").metric_of(columns) == 1
    assert "ogb" in sys.modules and "outdated" not in sys.modules


def test_the_absolute_error() -> None:
    task = Regression()
    prediction, y = torch.tensor([[[1.0], [2.0]], [[0.0], [0.0]]]), torch.tensor([[0.0, 4.0], [1.0, -1.0]])
    assert task.loss(prediction, y).tolist() == [1.5, 1.0]
    assert task.score(prediction, y).tolist() == [1.5, 1.0]
    assert not task.higher_is_better


@pytest.mark.parametrize("name", ["zinc", "molhiv", pytest.param("smnist", marks=pytest.mark.slow)])
def test_the_real_files_are_what_the_paper_used(name: str, mirror: Path, tmp_path: Path) -> None:
    config = dataset_config(name)
    dataset = load(config, Places(str(mirror), str(tmp_path)))
    assert unlike_published(config, dataset.statistics()) == list(config.differs)
    cell = compose_cell(["model=graclus", "pooling=learned", f"dataset={name}"])
    split = cell.splitter()(dataset, 0)
    sizes = {"zinc": (10000, 1000, 1000), "smnist": (55000, 5000, 10000), "molhiv": (32901, 4113, 4113)}
    assert (len(split.train), len(split.val), len(split.test)) == sizes[name]
    if name == "molhiv":
        assert [int(dataset.y[part].sum()) for part in (split.train, split.val, split.test)] == [1232, 81, 130]


@pytest.mark.parametrize("kind", ["zip", "npz"])
def test_an_archive_that_would_fill_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(archive, "HARMLESS", 2**20)
    path = tmp_path / f"bomb.{kind}"
    if kind == "npz":
        np.savez_compressed(path, x=np.zeros(10**6), y=np.zeros(3))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("DS_A.txt", bytes(8 * 10**6))
    with pytest.raises(UserError, match="would fill the memory; do not use this archive"):
        if kind == "npz":
            archive.read_arrays(path, ["y"])
        with archive.open_zip(path):
            pass
    # Large, but not for what it is packed in.
    large = tmp_path / "large.npz"
    np.savez_compressed(large, x=np.random.default_rng(0).random(10**6))
    assert len(archive.read_arrays(large, ["x"])["x"]) == 10**6
