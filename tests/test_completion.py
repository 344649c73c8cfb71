"""Tab completion, as bash asks for it."""

import subprocess
from collections.abc import Callable

import pytest


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rethinking ", "collect compare data export figure report reproduce run status table"),
        ("rethinking run model=grac", "model=graclus"),
        ("rethinking run model=graclus pooling=co", "pooling=complement"),
        ("rethinking run -m model=graclus trainer.max", "trainer.max_epochs="),
    ],
)
def test_bash(rethinking: Callable[..., subprocess.CompletedProcess[str]], line: str, expected: str) -> None:
    answer = rethinking("-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
    assert answer.stdout.strip() == expected, answer.stderr
