"""docs/check.md, followed literally: its file, its command, its page."""

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from rethinking.analysis.checks import check_settings
from rethinking.commands.check import planned
from tests.conftest import ROOT

Call = Callable[..., CompletedProcess[str]]
TEXT = (ROOT / "docs" / "check.md").read_text()
FENCES = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.M | re.S)
(CODE,) = [text for language, text in FENCES if language == "python"]
COMMANDS = [line.partition("  #")[0].split() for _, text in FENCES for line in text.splitlines() if " check " in line]
FIRST = next(words for words in COMMANDS if words[0].startswith("PYTHONPATH="))
QUICK = ("seeds=2", "trainer.max_epochs=1", "diagnosed_graphs=0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert "Save it as `my_pooling.py`" in TEXT
    (tmp_path / "my_pooling.py").write_text(CODE)
    return tmp_path


def call(rethinking: Call, words: list[str], *more: str) -> CompletedProcess[str]:
    place, program, *arguments = words
    assert program == "rethinking"
    return rethinking(*arguments, *more, PYTHONPATH=place.partition("=")[2])


@pytest.mark.usefixtures("mirror")
def test_the_file_and_the_command_are_understood(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but training: the guide's operator with all its controls."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    plan = planned(FIRST[FIRST.index("check") + 1 :])
    assert not plan.refused
    assert [one.control for one in plan.operators[0].checked] == list(check_settings().controls)


@pytest.mark.slow
@pytest.mark.usefixtures("mirror")
def test_the_file_and_the_command_come_to_a_page(rethinking: Call, folder: Path) -> None:
    done = call(rethinking, FIRST, *QUICK)
    assert done.returncode == 0, done.stderr
    assert (folder / "check.html").is_file()
    said = " ".join(done.stdout.split())
    for control in re.findall(r"^\| `(\w+)` \|", TEXT, re.M):
        assert f"{control} (" in said


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("mirror")
def test_to_the_verdict(rethinking: Call, folder: Path) -> None:
    done = call(rethinking, [word for word in FIRST if not word.startswith("seeds=")])
    assert done.returncode == 0, done.stderr
    assert "my_pooling.MyPool on GCB easy: " in " ".join(done.stdout.split())


@pytest.mark.slow
@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("words", [words for words in COMMANDS if words is not FIRST], ids=" ".join)
def test_every_other_command_is_understood(words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but training: every operator with all its controls."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    arguments = words[words.index("check") + 1 :]
    plan = planned([word for word in arguments if not word.startswith("--") and word not in ("latex",)])
    assert not plan.refused
    named = [word.removeprefix("controls=").split(",") for word in arguments if word.startswith("controls=")]
    (controls,) = named or [check_settings().controls]
    for operator in plan.operators:
        assert {one.control for one in operator.checked} == set(controls)
