"""What makes the program another one, and what does not."""

import subprocess
from pathlib import Path

import pytest

from rethinking import paths
from rethinking.runs import provenance


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for part in provenance.PROGRAM:
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.py").write_text("1")
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "rethinking")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    # Once a process; here the checkout changes.
    monkeypatch.setattr(provenance, "program", provenance.program.__wrapped__)
    return tmp_path


def git(folder: Path, *command: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", "-C", str(folder), *who, *command], check=True)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "next")


def test_what_lies_beside_the_program_does_not_change_it(checkout: Path) -> None:
    """A store of any name, or committed results: what was interrupted before goes on."""
    before = provenance.program()
    assert before["git_dirty"] is False and len(before["program"]) == len(provenance.PROGRAM)
    (checkout / "runs2").mkdir()
    (checkout / "runs2" / "store.txt").write_text("2")
    assert provenance.program() == before
    commit(checkout)
    assert provenance.program() == before


@pytest.mark.parametrize("part", provenance.PROGRAM)
def test_any_part_of_the_program_changes_it(checkout: Path, part: str) -> None:
    before = provenance.program()
    (checkout / part / "b.yaml").write_text("2")
    changed = provenance.program()
    assert changed["git_dirty"] is True
    commit(checkout)
    after = provenance.program()
    assert after["git_dirty"] is False and after["program"] != before["program"] == changed["program"]


def test_without_a_checkout_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "rethinking")
    said = provenance.program.__wrapped__()
    assert said["program"] is None and said["git_dirty"] is None and said["torch_version"]
