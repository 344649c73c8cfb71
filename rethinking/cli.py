"""The command line: `rethinking COMMAND …`. Each command lives in `rethinking/commands/`."""

import argparse
import os
import sys
from collections.abc import Sequence

from rethinking import __version__
from rethinking.errors import UserError


def entry_point() -> None:
    """What the console script calls."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command. Returns the exit status: 0 done, 1 some runs failed, 2 bad input, 130 interrupted."""
    try:
        if arguments[:1] == ["run"]:
            from rethinking.commands.run import main as run

            return run(arguments[1:])
        return 0
    except UserError as error:
        print(f"rethinking: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("rethinking: interrupted. Finished runs are kept; the same command goes on with the rest.", file=sys.stderr)
        return 130
