"""Tab completion: the commands by name, everything after `rethinking run` by Hydra."""

import os
from collections.abc import Sequence

from rethinking.commands.run import main as run

COMMANDS = ("collect", "compare", "data", "export", "figure", "report", "reproduce", "run", "status", "table")


def complete(arguments: Sequence[str]) -> int:
    """Answer the shell's question. Hydra knows nothing of the word `run`, so it is taken out of the line."""
    line = os.environ.get("COMP_LINE", "")
    words = line.split()
    if any(argument.startswith("query=") for argument in arguments):
        if words[1:2] != ["run"] or line.endswith(" run"):
            print(" ".join(COMMANDS))
            return 0
        shorter = line.replace(" run", "", 1)
        os.environ["COMP_LINE"] = shorter
        os.environ["COMP_POINT"] = str(len(shorter))
    return run(arguments)
