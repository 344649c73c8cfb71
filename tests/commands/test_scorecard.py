"""`rethinking scorecard`, and that of `check`: measured once, kept, shown in every form."""

import re
from collections.abc import Callable
from copy import deepcopy
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pandas as pd
import pytest

from rethinking.analysis.scorecards import of_file
from rethinking.commands import scorecard
from rethinking.runs import snapshots
from rethinking.runs.checked import write_checked
from rethinking.scorecard import settings
from tests.commands.test_check import SMALL

Call = Callable[..., CompletedProcess[str]]
BLIND = '''
from torch import nn


class Blind(nn.Module):
    """Says nothing of its clusters, and has other features than theirs."""

    def __init__(self, in_channels):
        super().__init__()
        self.out_channels = 3
        self.linear = nn.Linear(in_channels, 3)

    def forward(self, x, edge_index, batch=None):
        return self.linear(x), edge_index, batch
'''


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A further size, of which an operator takes a second."""
    file = settings._file()
    fit = {"most_steps": 3}
    file["sizes"]["tiny"] = {
        "autoencoder": {"graphs": ["ring"], "runs": 2, "hidden": 4, "fit": fit},
        "spectral": {"graphs": ["ring"], "runs": 2, "fit": fit},
        "expressive": {"data": {"pairs": 10}, "runs": 1, "epochs": 1},
        "cost": {"nodes": [8, 16], "repeats": 1},
    }
    monkeypatch.setattr(settings, "_file", lambda: deepcopy(file))


@pytest.mark.slow
def test_measured_once_and_told_in_every_form(
    rethinking: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("scorecard", "src/topk", "src/ndp", "--size", "tiny")
    done = rethinking(*command)
    assert done.returncode == 0, done.stderr
    assert "mean rank" in done.stdout and "not constant" in done.stdout
    page = (tmp_path / "scorecard.html").read_text()
    assert page.count("<svg") == 1 + 2 * 2
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert links and all(link.startswith(("#", "data:")) for link in links)

    def never(*_: Any) -> None:
        raise AssertionError("measured again")

    with monkeypatch.context() as patched:
        patched.setattr(scorecard, "measured_here", never)
        assert rethinking(*command).stdout == done.stdout
        assert rethinking(*command, "--format", "latex").stdout.count(r"\begin{tabular}") == 6
        rows = pd.read_csv(StringIO(rethinking(*command, "--format", "csv").stdout))
        assert set(rows["operator"]) == {"src/topk", "src/ndp", "no operator"}
        assert set(rows["part"]) == {"features", "structure", "expressive", "cost"}
        costs = rows[rows["part"] == "cost"]
        assert set(costs["nodes"]) == {8, 16} and not costs["run"].any() and "nodes" not in set(costs["measure"])
    for file in (tmp_path / "checks" / ".scorecards").glob("*.json"):
        file.write_text(file.read_text()[:-7])
    again = rethinking(*command)
    assert again.returncode == 0 and again.stderr.count("measured anew") == 3  # and that of no pooling


@pytest.mark.slow
def test_other_arguments_are_another_operator(rethinking: Call, tmp_path: Path) -> None:
    for damping in ("0.001", "0.002", "0.001"):
        assert (
            rethinking("scorecard", "src/ndp", f"pooler.operator.damping={damping}", "--size", "tiny").returncode == 0
        )
    assert len(list((tmp_path / "checks" / ".scorecards").glob("*.json"))) == 2 + 1


@pytest.mark.slow
def test_beside_a_verdict(rethinking: Call, tmp_path: Path) -> None:
    """Of a black box: what cannot be measured is said, and the rest is there."""
    (tmp_path / "blind.py").write_text(BLIND)
    words = ("check", "blind.Blind", *SMALL, "seeds=2", "--scorecard", "tiny")
    done = rethinking(*words, PYTHONPATH=".")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "shuffled_input (its own pooling of permuted nodes)" in said and "ms at 16 nodes" in said
    assert "Not measured of blind.Blind: features on ring" in said and "does not say which nodes" in said
    assert "expected each signal pooled" in said
    page = (tmp_path / "check.html").read_text()
    assert page.index('id="verdict"') < page.index('id="scorecard"') < page.index('id="clusters"')
    assert "Scorecard of blind.Blind" in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["scorecard", "src/topk", "--size", "huge"], "expected one of brief"),
        (["check", "src/topk", *SMALL, "--scorecard", "huge"], "expected one of brief"),
        (["scorecard", "src/topk", "model.ratio=0.25"], "model.ratio=0.25 does not go with a scorecard"),
        (["scorecard", "topk"], "there is no such operator"),
        (["scorecard", "src/topk", "pooler.operator.nothing=1"], "nothing"),
    ],
)
def test_a_mistake_gets_one_sentence(words: list[str], said: str, rethinking: Call, tmp_path: Path) -> None:
    done = rethinking(*words)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_where_a_run_was_is_gone_when_it_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorecard, "section", {"snapshot_minutes": 0}.__getitem__)
    written: list[Path] = []

    def spy(path: Path, content: Any) -> None:
        written.append(path)
        write_checked(path, content)

    monkeypatch.setattr(snapshots, "write_checked", spy)
    card = scorecard.Measuring("tiny").card(of_file("src/topk"), ["structure/ring"], tmp_path)
    assert card.parts["structure/ring"].runs == 2
    (path,) = set(written)
    assert path.parent == tmp_path / ".scorecards" and path.name.endswith("-structure-ring.pt")
    assert len(written) == 2 * 3 and not list(path.parent.glob("*.pt*"))
