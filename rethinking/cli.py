"""The command line: `rethinking COMMAND …`. Each command lives in `rethinking/commands/`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rethinking import __version__, paths
from rethinking.errors import UserError

DESCRIPTION = "Does my graph pooling really matter? Train pooling variants, and compare local with non-local pooling."


def entry_point() -> None:
    """What the console script calls."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns the exit status: 0 done, 1 some runs failed, 2 bad input, 3 some runs left to another process,
    130 interrupted.
    """
    try:
        return _dispatch(list(arguments))
    except UserError as error:
        print(f"rethinking: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        print(
            "rethinking: interrupted. Finished runs are kept; the same command goes on with the rest.", file=sys.stderr
        )
        return 130


def _dispatch(arguments: list[str]) -> int:
    if arguments[:1] in (["-sc"], ["--shell-completion"]):
        from rethinking.commands.completion import complete

        return complete(arguments)
    if arguments[:1] == ["run"]:
        # Everything after `run` is Hydra's.
        from rethinking.commands.run import main as run

        return run(arguments[1:])
    parsed = _parser().parse_args(arguments)
    return parsed.command(parsed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rethinking", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"rethinking {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    commands.add_parser(
        "run", help="train the cells of a table: rethinking run -m model=… pooling=… dataset=… (see run --help)"
    )

    status = _add(commands, "status", _status, "what is done, running, failed and missing in a run store")
    _add_places(status)

    table = _add(commands, "table", _table, "render a table of the paper from finished runs")
    table.add_argument("name", help="which table, as in the paper: 1, 2, 3 or S5")
    table.add_argument("--format", choices=["screen", "markdown", "csv"], default="screen", help="default: screen")
    table.add_argument(
        "--fidelity",
        choices=["paper", "released_code"],
        default="paper",
        help="of which runs; the two never mix (default: paper)",
    )
    _add_places(table)

    collect = _add(
        commands, "collect", _collect, "add the finished runs of a store to the tidy files of a results folder"
    )
    _add_places(collect)

    data = _add(commands, "data", _data, "what data sets there are, and whether they are what the paper used")
    data.add_argument("action", choices=["list", "check"], help="list them, or measure them against Table S1")
    data.add_argument("datasets", nargs="*", metavar="DATASET", help="default: all")
    data.add_argument("--mirror", help="folder with raw files (default: the environment's RETHINKING_DATA)")
    data.add_argument("--cache", help="folder for processed data (default: RETHINKING_CACHE, else the user's cache)")
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(command=command)
    return parser


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs", type=Path, default=paths.DEFAULT_RUNS, metavar="DIR", help="run store (default: runs)"
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=paths.DEFAULT_RESULTS,
        metavar="DIR",
        help="collected results (default: results)",
    )


def _status(parsed: argparse.Namespace) -> int:
    from rethinking.commands.status import status

    return status(parsed.runs, parsed.results)


def _table(parsed: argparse.Namespace) -> int:
    from rethinking.commands.table import table

    return table(parsed.name, parsed.format, parsed.fidelity, parsed.runs, parsed.results)


def _collect(parsed: argparse.Namespace) -> int:
    from rethinking.commands.collect import collect_runs

    return collect_runs(parsed.runs, parsed.results)


def _data(parsed: argparse.Namespace) -> int:
    from rethinking.commands.data import data

    return data(parsed.action, parsed.datasets, parsed.mirror, parsed.cache)
