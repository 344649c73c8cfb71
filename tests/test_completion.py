"""Tab completion, as bash asks for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rethinking ", "collect data run status table"),
        ("rethinking run model=gr", "model=graclus"),
        ("rethinking run model=graclus pooling=c", "pooling=complement"),
        ("rethinking run -m model=graclus trainer.max", "trainer.max_epochs="),
    ],
)
def test_bash(tmp_path: Path, line: str, expected: str) -> None:
    environment = os.environ | {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    command = [sys.executable, "-m", "rethinking", "-sc", "query=bash"]
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert answer.stdout.strip() == expected, answer.stderr
