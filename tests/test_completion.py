"""Tab completion, as bash asks for it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

AFTER_THAT = "export collect import verify data"
LINES_OF_HYDRA = [
    ("rethinking run model=grac", "model=graclus"),
    ("rethinking run model=graclus pooling=co", "pooling=complement"),
    ("rethinking run -m model=graclus trainer.max", "trainer.max_epochs="),
]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rethinking ", f"run reproduce status table compare check scorecard figure report {AFTER_THAT}"),
        ("rethinking data che", "check"),
        ("rethinking compare --dataset nci1 imdb_b --marg", "--margin"),
        ("rethinking compare --dataset nci1 imdb_b --format ", "screen markdown latex html csv"),
        LINES_OF_HYDRA[1],
        pytest.param(*LINES_OF_HYDRA[2], marks=pytest.mark.slow),
    ],
)
def test_completion_of_all_commands(tmp_path: Path, line: str, expected: str) -> None:
    """What argcomplete's script asks: `eval "$(register-python-argcomplete rethinking)"`."""
    answer = tmp_path / "answer"
    asked = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": " ",
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    subprocess.run([sys.executable, "-m", "rethinking"], env=os.environ | asked, check=True, timeout=120)
    assert answer.read_text() == expected


@pytest.mark.parametrize(("line", "expected"), [*LINES_OF_HYDRA, ("rethinking table --form", "")])
def test_hydras_own_completion(
    rethinking: Callable[..., subprocess.CompletedProcess[str]], line: str, expected: str
) -> None:
    """What Hydra's script asks: `eval "$(rethinking run -sc install=bash)"`. It has no answer for other commands."""
    answer = rethinking("-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
    assert answer.stdout.strip() == expected, answer.stderr
