"""A file is written as a whole, and what killed writers left goes."""

import os
import time
from pathlib import Path

import pytest

from rethinking.runs.replacement import PART, STALE, replaced_file


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replaced_file(path) as part:
        part.write_text("ne")
        raise RuntimeError
    assert path.read_text() == "old"
    with replaced_file(path) as part:
        part.write_text("new")
        assert path.read_text() == "old" and part.parent == tmp_path
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_it_may_be_written_elsewhere_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "workshop").mkdir()
    with replaced_file(tmp_path / "file.txt", tmp_path / "workshop") as part:
        part.write_text("new")
        assert part.parent.name == "workshop"
    assert (tmp_path / "file.txt").read_text() == "new"


def test_what_a_killed_writer_left_goes_and_what_another_writes_stays(tmp_path: Path) -> None:
    old, young, others = (tmp_path / f".{name}{PART}" for name in ("file.txt.0", "file.txt.1", "other.txt.0"))
    for leftover in (old, young, others):
        leftover.write_text("half")
    long_ago = time.time() - 2 * STALE
    os.utime(old, (long_ago, long_ago))
    os.utime(others, (long_ago, long_ago))
    with replaced_file(tmp_path / "file.txt") as part:
        part.write_text("new")
    assert not old.exists() and young.exists() and others.exists()
