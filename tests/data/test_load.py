"""A data set is read once and then comes from the cache; content and checksums are held to the configuration."""

import pickle
import re
import shutil
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rethinking.configuration.composition import dataset_config
from rethinking.data import load as loading
from rethinking.data import sources
from rethinking.data.dataset import GraphDataset
from rethinking.data.load import DatasetConfig, cache_folder, load
from rethinking.data.sources import Places
from rethinking.errors import UserError


def places(folder: Path, mirror: Path | None = None) -> Places:
    return Places(mirror=str(mirror) if mirror else None, cache=str(folder))


@pytest.mark.parametrize("name", ["digits", "nci1"])
def test_the_cache_gives_back_the_same(tmp_path: Path, mirror: Path, name: str) -> None:
    config = dataset_config(name)
    first = load(config, places(tmp_path, mirror))
    started = time.perf_counter()
    second = load(config, Places(mirror=None, cache=str(tmp_path)))
    assert time.perf_counter() - started < 1, "the second load should be much faster than a second"
    assert first.fingerprint == second.fingerprint == config.fingerprint
    assert first.directed == second.directed
    assert np.array_equal(first.edge_index, second.edge_index)


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    config = dataset_config("digits")
    expected = load(config, places(tmp_path)).fingerprint
    folder = cache_folder(config.name, config.sources[0], places(tmp_path))
    (folder / "x.npy").write_bytes(b"")
    assert load(config, places(tmp_path)).fingerprint == expected
    for lost in ("y.npy", "out_rows.npy", "manifest.json"):
        (folder / lost).unlink()
        assert load(config, places(tmp_path)).fingerprint == expected


def test_a_download_cut_short_is_not_kept(tmp_path: Path, mirror: Path) -> None:
    config = dataset_config("imdb_b")
    assert config.raw is not None
    half = tmp_path / "half.zip"
    half.write_bytes((mirror / config.raw.file).read_bytes()[:100_000])
    config = replace(config, raw=replace(config.raw, url=half.as_uri()))
    (tmp_path / "empty").mkdir()
    for _ in range(2):
        with pytest.raises(UserError, match="is not whole"):
            load(config, places(tmp_path / "cache", tmp_path / "empty"))
    assert not [path for path in (tmp_path / "cache" / "raw").rglob("*") if path.is_file()]


def of_ones_own(folder: Path, mirror: Path) -> tuple[DatasetConfig, Path]:
    """A data set whose raw file has no checksum, and that file."""
    config = dataset_config("imdb_b")
    assert config.raw is not None
    config = replace(config, fingerprint=None, raw=replace(config.raw, sha256=None))
    own = folder / "own" / config.raw.file
    own.parent.mkdir(parents=True)
    shutil.copy(mirror / "tu" / "IMDB-BINARY.zip", own)
    return config, own


def test_a_file_of_ones_own_is_read_again_when_it_changes(tmp_path: Path, mirror: Path) -> None:
    config, own = of_ones_own(tmp_path, mirror)
    assert len(load(config, places(tmp_path / "cache", tmp_path / "own"))) == 1000
    shutil.copy(mirror / "tu_cleaned" / "IMDB-BINARY.zip", own)
    assert len(load(config, places(tmp_path / "cache", tmp_path / "own"))) == 493


def test_a_file_written_anew_while_it_is_read_is_not_kept(
    tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, own = of_ones_own(tmp_path, mirror)
    read = loading._read

    def changed(*arguments: Any) -> GraphDataset:
        dataset = read(*arguments)
        shutil.copy(mirror / "tu_cleaned" / "IMDB-BINARY.zip", own)
        return dataset

    with monkeypatch.context() as patched:
        patched.setattr(loading, "_read", changed)
        load(config, places(tmp_path / "cache", tmp_path / "own"))
    assert len(load(config, places(tmp_path / "cache", tmp_path / "own"))) == 493


def test_a_link_that_leads_nowhere_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "A.txt").write_text("1")
    before = loading._state_of(tmp_path)
    (tmp_path / ".#A.txt").symlink_to("nobody@nowhere")
    assert loading._state_of(tmp_path) == before


def test_an_unreadable_raw_file_is_said(tmp_path: Path) -> None:
    """A folder in the file's place: unreadable for every user."""
    config = dataset_config("imdb_b")
    assert config.raw is not None
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        sources._check_file(tmp_path / "folder", config.raw.sha256, config.raw)


def test_other_content_is_refused(tmp_path: Path) -> None:
    config = replace(dataset_config("digits"), fingerprint="0" * 16)
    with pytest.raises(UserError, match=r"has fingerprint 9f5b17e9270c5409, expected 0000"):
        load(config, places(tmp_path))


def test_an_unwritable_cache_is_only_slower(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert len(load(dataset_config("digits"), places(tmp_path / "file"))) == 1797


def test_downloads_when_the_mirror_has_none(tmp_path: Path, mirror: Path) -> None:
    """From a file: address, in place of upstream's."""
    config = dataset_config("imdb_b")
    assert config.raw is not None
    upstream = tmp_path / "upstream.zip"
    shutil.copy(mirror / config.raw.file, upstream)
    config = replace(config, raw=replace(config.raw, url=upstream.as_uri()))
    (tmp_path / "empty").mkdir()
    assert len(load(config, places(tmp_path / "cache", tmp_path / "empty"))) == 1000
    assert (tmp_path / "cache" / "raw" / config.raw.file).is_file()


def test_reading_rules_are_part_of_the_cache_key(tmp_path: Path) -> None:
    config = dataset_config("digits")
    other = replace(config, read={**config.read, "neighbours": 4})
    folders = {cache_folder(c.name, c.sources[0], places(tmp_path)) for c in (config, other)}
    assert len(folders) == 2


class Elsewhere:
    """Unpickling it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def served(config: DatasetConfig, folder: Path) -> DatasetConfig:
    """The data set with its upstream in a folder here."""
    assert config.upstream is not None and config.upstream.raw is not None
    raw = config.upstream.raw
    name = raw.file.rpartition("/")[2]
    beside = {file: (folder / file).as_uri() for file in raw.beside}
    raw = replace(raw, url=(folder / name).as_uri(), beside=beside)
    (folder / "empty").mkdir()
    return replace(config, upstream=replace(config.upstream, raw=raw))


def test_superpixels_come_from_pyg_too(tmp_path: Path) -> None:
    """Validation images first, then the others: MNIST's order."""
    rng = np.random.default_rng(0)
    parts = [
        [{"x": torch.from_numpy(rng.random((n, 1))).float(), "pos": torch.from_numpy(rng.random((n, 2))).float(),
          "y": torch.tensor([label]), "edge_index": torch.zeros(2, 0, dtype=torch.long)} for n, label in sizes]
        for sizes in ([(10, 3), (12, 4)], [(11, 5)], [(15, 6)])
    ]  # fmt: skip
    config = served(dataset_config("smnist"), tmp_path)

    def serve(content: object) -> None:
        torch.save(content, tmp_path / "MNIST_v2.pt")
        with zipfile.ZipFile(tmp_path / "MNIST_v2.zip", "w") as archive:
            archive.write(tmp_path / "MNIST_v2.pt", "MNIST_v2.pt")

    serve(parts)
    here = places(tmp_path / "cache", tmp_path / "empty")
    dataset = load(config, here)
    assert dataset.y.tolist() == [5, 3, 4, 6] and dataset.sizes.tolist() == [11, 10, 12, 15]
    assert np.allclose(dataset.x[:11, 1:], parts[1][0]["pos"])
    assert (np.diff(dataset.out_ptr) == 8).all()
    # The second time from the cache.
    assert load(config, here).fingerprint == dataset.fingerprint
    serve([Elsewhere(tmp_path / "was here")])
    with pytest.raises(UserError, match="does not hold MNIST's superpixels"):
        load(config, places(tmp_path / "other", tmp_path / "empty"))
    assert not (tmp_path / "was here").exists()


def test_pickles_are_opened_only_when_their_checksum_is_vouched_for(tmp_path: Path) -> None:
    """ZINC as PyG's class reads it, from a small archive of its form."""
    molecule = {"atom_type": torch.tensor([3, 0, 5]), "logP_SA_cycle_normalized": torch.tensor([0.5])}
    molecule["bond_type"] = torch.tensor([[0, 1, 0], [1, 0, 2], [0, 2, 0]])
    with zipfile.ZipFile(tmp_path / "molecules.zip", "w") as archive:
        for number, part in enumerate(("train", "val", "test")):
            target = torch.tensor([number + 0.5])
            molecules = [molecule, molecule | {"logP_SA_cycle_normalized": target}]
            archive.writestr(f"molecules/{part}.pickle", pickle.dumps(molecules))
            (tmp_path / f"{part}.index").write_text("1\n")
    config = served(dataset_config("zinc"), tmp_path)
    here = places(tmp_path / "cache", tmp_path / "empty")
    with pytest.raises(UserError, match=r"can run code when they are opened.*--trust [0-9a-f]{64}`") as refusal:
        load(config, here)
    checksum = re.search(r"--trust (\w+)", str(refusal.value)).group(1)  # type: ignore[union-attr]
    with pytest.raises(UserError, match="damaged or another version"):
        load(config, here, trusted="0" * 64)
    dataset = load(config, here, trusted=checksum)
    assert dataset.y.tolist() == [0.5, 1.5, 2.5]
    assert dataset.x.argmax(axis=1).tolist() == [3, 0, 5] * 3 and dataset.in_features == 28
    assert dataset.statistics()["edges"] == 2
    # Trusted once, it is in the cache.
    assert load(config, here).fingerprint == dataset.fingerprint


def test_files_in_a_zip_file_have_checksums_of_their_own(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "hiv.zip", "w") as archive:
        for part in dataset_config("molhiv").upstream.raw.parts:  # type: ignore[union-attr]
            archive.writestr(f"hiv/{part}", b"")
    with pytest.raises(UserError, match=r"raw/\S+ in .*hiv\.zip is damaged or another version"):
        load(served(dataset_config("molhiv"), tmp_path), places(tmp_path / "cache", tmp_path / "empty"))


def test_a_reader_of_ones_own_that_fails_is_one_sentence(tmp_path: Path) -> None:
    config = dataset_config("digits")
    for read, expected in (
        ({"_target_": "json.loads"}, "cannot be read by json.loads: TypeError"),
        ({"_target_": "nowhere.read"}, "nowhere"),
        ({"_target_": "rethinking.data.pyg.read_pyg", "datasets": [{"_target_": "no.such.Dataset"}]}, r"no\.such"),
    ):
        with pytest.raises(UserError, match=expected):
            load(replace(config, read=read), places(tmp_path))
