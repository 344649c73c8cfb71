"""Tab completion after `rethinking run`, by Hydra. For the other commands argcomplete reads the parser (`cli.py`)."""

import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO

from rethinking.commands.run import main as run


def hydra_words() -> list[str]:
    """How Hydra would complete the shell's line."""
    with redirect_stdout(StringIO()) as answered:
        answer(["-sc", "query=bash"])
    return answered.getvalue().split()


def answer(arguments: Sequence[str]) -> int:
    """Let Hydra answer the shell. It knows nothing of the word `run`, so that is taken out of the line."""
    line = os.environ.get("COMP_LINE", "")
    if line.split()[1:2] != ["run"]:
        return 0
    line = line.replace(" run", "", 1)
    os.environ |= {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    return run(arguments)
