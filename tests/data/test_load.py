"""A data set is read once and then comes from the cache; content and checksums are held to the configuration."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rethinking.composition import dataset_config
from rethinking.data import load as loading
from rethinking.data import sources
from rethinking.data.load import cache_folder, load
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
    folder = cache_folder(config, places(tmp_path))
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
        with pytest.raises(UserError, match="not a whole zip file"):
            load(config, places(tmp_path / "cache", tmp_path / "empty"))
    assert not [path for path in (tmp_path / "cache" / "raw").rglob("*") if path.is_file()]


def test_a_file_of_ones_own_is_read_again_when_it_changes(tmp_path: Path, mirror: Path) -> None:
    config = dataset_config("imdb_b")
    assert config.raw is not None
    config = replace(config, fingerprint=None, raw=replace(config.raw, sha256=None))
    own = tmp_path / "own" / config.raw.file
    own.parent.mkdir(parents=True)
    shutil.copy(mirror / "tu" / "IMDB-BINARY.zip", own)
    assert len(load(config, places(tmp_path / "cache", tmp_path / "own"))) == 1000
    shutil.copy(mirror / "tu_cleaned" / "IMDB-BINARY.zip", own)
    assert len(load(config, places(tmp_path / "cache", tmp_path / "own"))) == 493


def test_an_unreadable_raw_file_is_said(tmp_path: Path) -> None:
    """A folder in the file's place: unreadable for every user."""
    config = dataset_config("imdb_b")
    assert config.raw is not None
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        sources._check(tmp_path / "folder", config.raw)


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
    assert cache_folder(config, places(tmp_path)) != cache_folder(other, places(tmp_path))
    assert loading.CACHE_VERSION >= 1
