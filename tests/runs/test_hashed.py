"""The index of what has been hashed saves work and decides nothing: with any or none, answers are the same."""

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rethinking.runs import hashed
from rethinking.runs.store import Entry, RunStore
from tests.runs.test_store import write

RUNS = ("abc-s01", "abc-s02", "def-s01")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of three runs that have been read once, long after they were written."""
    monkeypatch.setattr(hashed, "RECENT", 0)
    store = RunStore(tmp_path / "runs")
    for run in RUNS:
        write(store, run)
    assert states(tmp_path / "runs") == ["done"] * 3
    return tmp_path / "runs"


def read(folder: Path) -> list[Entry]:
    """As another command reads it."""
    return RunStore(folder).entries()


def states(folder: Path) -> list[str]:
    return [entry.state for entry in read(folder)]


def only(allowed: Path, read_text: Callable[..., str]) -> Callable[..., str]:
    """A Path.read_text that fails for any other file."""

    def checked(path: Path, *args: Any, **kw: Any) -> str:
        assert path == allowed
        return read_text(path, *args, **kw)

    return checked


def index(folder: Path) -> dict[str, Any]:
    return json.loads((folder / hashed.NAME).read_text())["files"]


def test_what_has_been_hashed_is_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(index(folder)) == 4 * len(RUNS)
    opened = []
    plain = Path.open

    def noted(path: Path, *args: Any, **kw: Any) -> Any:
        if path.parent.name in RUNS:
            opened.append(path.name)
        return plain(path, *args, **kw)

    monkeypatch.setattr(Path, "open", noted)
    with_index = read(folder)
    assert opened == []
    (folder / hashed.NAME).unlink()
    assert read(folder) == with_index and len(opened) == 4 * len(RUNS)


@pytest.mark.parametrize("name", ["config.yaml", "history.parquet", "predictions.parquet", "result.json"])
@pytest.mark.parametrize("times", ["new", "forged"])
def test_a_file_that_changes_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, times: str) -> None:
    """Also if it is as long as before, and its time of change is set back."""
    monkeypatch.undo()
    path = folder / "abc-s02" / name
    was, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    if times == "forged":
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert states(folder) == ["done", "damaged", "done"]
    path.write_bytes(content)
    assert states(folder) == ["done"] * 3


def test_a_run_that_is_replaced_or_deleted_is_seen(folder: Path) -> None:
    before = index(folder)
    write(RunStore(folder), "abc-s01")
    shutil.rmtree(folder / "def-s01")
    assert states(folder) == ["done", "done"]
    after = index(folder)
    assert {key.partition("/")[0] for key in after} == {"abc-s01", "abc-s02"}
    for key, entry in after.items():
        assert (entry == before[key]) == key.startswith("abc-s02")


def test_a_file_that_has_just_been_written_is_hashed_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two changes within one tick of the clock look like one."""
    monkeypatch.setattr(hashed, "RECENT", 10**12)
    write(RunStore(folder), "abc-s03")
    assert states(folder) == ["done"] * 4
    assert "abc-s03/config.yaml" not in index(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[", b"null", b"[]", b"{}", b'{"version": 3}', b'{"version": 3, "files": []}', b"\xff\xfe",
        b"[" * 100_000, b'{"version": 1, "files": {"abc-s01/result.json": {}}}',
        b'{"version": 3, "files": {"abc-s01/config.yaml": [1, 2, 3, 4, "x"], "abc-s02/config.yaml": null}}',
        b'{"version": 3, "files": {"../../etc/passwd": [1, 2, 3, 4, "' + b"0" * 64 + b'"], "abc-s01/x": {"a": 1}}}',
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_index_is_made_anew(folder: Path, content: bytes) -> None:
    expected, whole = read(folder), index(folder)
    (folder / hashed.NAME).write_bytes(content)
    assert read(folder) == expected
    assert whole.items() <= index(folder).items()


def test_an_index_cannot_make_a_run_damaged(folder: Path) -> None:
    expected, files = read(folder), index(folder)
    wrong = {key: [*entry[:-1], "0" * 64] for key, entry in files.items()}
    (folder / hashed.NAME).write_text(json.dumps({"version": hashed.VERSION, "files": wrong}))
    assert read(folder) == expected and index(folder) == files


@pytest.mark.parametrize(
    "record",
    ["0" * 64, None, [], {}, {"run_id": "abc-s02"}, "other"],
    ids=["text", "null", "list", "empty", "half", "other"],
)
def test_what_an_index_says_of_a_record_cannot_make_a_run_damaged(folder: Path, record: Any) -> None:
    expected, files = read(folder), index(folder)
    other = files["def-s01/result.json/read"][-1]
    key = "abc-s02/result.json/read"
    wrong = files | {key: [*files[key][:-1], other if record == "other" else record]}
    (folder / hashed.NAME).write_text(json.dumps({"version": hashed.VERSION, "files": wrong}))
    assert read(folder) == expected and index(folder) == files


def test_what_was_trained_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RunStore(folder)
    store.entries()
    expected = store.config("abc-s01")
    assert expected
    store.remember()
    monkeypatch.setattr(Path, "read_text", only(folder / hashed.NAME, Path.read_text))
    again = RunStore(folder)
    again.entries()
    assert again.config("abc-s01") == expected


def test_a_measure_that_is_no_number_is_remembered_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RunStore(folder).write_diagnostics("abc-s01", {"pool1_hops": float("nan")}, {})
    RunStore(folder).entries()
    assert "abc-s01/result.json/read" in index(folder)
    monkeypatch.setattr(Path, "read_text", only(folder / hashed.NAME, Path.read_text))
    assert repr(read(folder)[0].record["diagnostic_pool1_hops"]) == "nan"


@pytest.mark.parametrize("text", ["a: 2020-01-01", "1: true", "a: .nan", "[1, 2]", "a: ["])
def test_an_index_changes_nothing_of_what_a_file_says(folder: Path, text: str) -> None:
    """Dates, numbers as names: JSON has none."""
    (folder / "abc-s01" / "config.yaml").write_text(text)
    stores = [RunStore(folder) for _ in range(2)]
    said = []
    for store in stores:
        store.entries()
        said.append(repr(store.config("abc-s01")))
        store.remember()
    assert said[0] == said[1]


def test_what_an_index_says_of_a_configuration_does_not_count_where_it_makes_no_sense(folder: Path) -> None:
    store = RunStore(folder)
    store.entries()
    expected = store.config("abc-s01")
    store.remember()
    files = index(folder)
    wrong = files | {"abc-s01/config.yaml/read": [*files["abc-s01/config.yaml/read"][:-1], {"cell": 3}]}
    (folder / hashed.NAME).write_text(json.dumps({"version": hashed.VERSION, "files": wrong}))
    store = RunStore(folder)
    assert store.config("abc-s01") == {"cell": 3}
    assert store.config("abc-s01", anew=True) == expected
    assert RunStore(folder).config("abc-s01", anew=True) == expected


def test_an_index_of_another_copy_fits_nothing(folder: Path, tmp_path: Path) -> None:
    """Even where a damaged copy keeps all sizes and times that can be set."""
    shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy" / "abc-s01" / "history.parquet"
    was = path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert states(tmp_path / "copy") == ["damaged", "done", "done"]


def test_a_folder_or_a_link_in_its_place_stops_nothing(folder: Path, tmp_path: Path) -> None:
    expected = read(folder)
    (folder / hashed.NAME).unlink()
    (folder / hashed.NAME).mkdir()
    assert read(folder) == expected
    (folder / hashed.NAME).rmdir()
    (tmp_path / "precious").write_text("mine")
    (folder / hashed.NAME).symlink_to(tmp_path / "precious")
    assert read(folder) == expected
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_store_that_cannot_be_written_is_read_all_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read(folder)
    (folder / hashed.NAME).unlink()

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    assert read(folder) == expected
    assert not list(folder.glob(f"{hashed.NAME}*"))


def test_a_kill_while_the_index_is_written_is_harmless(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old one stays, and the half of a new one is none."""
    expected, whole = read(folder), index(folder)
    write(RunStore(folder), "abc-s03")

    class Killed(BaseException):
        pass

    def half(path: Path, text: str, *_: Any, **__: Any) -> None:
        with path.open("w") as file:
            file.write(text[: len(text) // 2])
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", half)
        with pytest.raises(Killed):
            read(folder)
    assert index(folder) == whole
    assert [entry for entry in read(folder) if entry.run_id != "abc-s03"] == expected
    assert len(index(folder)) == 4 * 4


def _read_often(folder: Path) -> None:
    hashed.RECENT = 0
    for _ in range(20):
        (folder / hashed.NAME).unlink(missing_ok=True)
        assert states(folder) == ["done"] * 3


def test_several_processes_may_write_it_at_once(folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    readers = [context.Process(target=_read_often, args=(folder,)) for _ in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert [reader.exitcode for reader in readers] == [0, 0, 0]
    assert not [path for path in folder.glob(f"{hashed.NAME}.*")]
    assert states(folder) == ["done"] * 3 and len(index(folder)) == 12
