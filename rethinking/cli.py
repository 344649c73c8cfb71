"""The command line: `rethinking COMMAND …`. Each command lives in `rethinking/commands/`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rethinking import __version__, paths
from rethinking.errors import UserError

if TYPE_CHECKING:
    from rethinking.data.sources import Places

FORMS = ("screen", "markdown", "latex", "html", "csv")
RESULTS = "collected results (default: results)"
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

    reproduce = _add(commands, "reproduce", _reproduce, "train what a table or figure still lacks, then render it")
    reproduce.add_argument("suite", help="table1, table2, table3, tableS5, figure1, …, control")
    reproduce.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for run: device=cuda, runs=DIR, …")
    reproduce.add_argument("--results", type=Path, default=paths.DEFAULT_RESULTS, metavar="DIR", help=RESULTS)

    status = _add(commands, "status", _status, "what is done, running, failed and missing in a run store")
    status.add_argument("suites", nargs="*", metavar="SUITE", help="say what these lack (default: the paper's tables)")
    _add_places(status)

    table = _add(commands, "table", _table, "render a table of the paper from finished runs")
    table.add_argument("names", nargs="+", metavar="NAME", help="which, as in the paper: 1, 2, 3, S1 … S5; or a suite")
    _add_form(table)
    _add_places(table)

    compare = _add(commands, "compare", _compare, "does local pooling matter? differences, intervals, verdicts")
    compare.add_argument("--dataset", nargs="+", default=[], metavar="NAME", help="of these data sets (default: all)")
    compare.add_argument("--family", nargs="+", default=[], metavar="NAME", help="of these families (default: all)")
    compare.add_argument(
        "--margin", nargs="+", default=[], metavar="METRIC=VALUE", help="another margin, such as accuracy=0.02"
    )
    compare.add_argument(
        "--reference", default="learned", metavar="VARIANT", help="the local variant (default: learned, a family's own)"
    )
    _add_form(compare)
    _add_places(compare)

    figure = _add(commands, "figure", _figure, "draw figures of the paper, as PNG and SVG")
    figure.add_argument("names", nargs="*", metavar="NAME", help="1 … 8, S1, verdicts, locality (default: all)")
    figure.add_argument("--to", type=Path, default=Path("figures"), metavar="DIR", help="folder (default: figures)")
    _add_fidelity(figure)
    _add_places(figure)

    report = _add(commands, "report", _report, "one page of HTML: verdict, tables, figures, runs")
    report.add_argument("--to", type=Path, default=Path("report.html"), metavar="FILE", help="default: report.html")
    _add_fidelity(report)
    _add_places(report)

    export = _add(commands, "export", _export, "tidy data frames as CSV and Parquet, with a data dictionary")
    export.add_argument("--to", type=Path, default=Path("export"), metavar="DIR", help="folder (default: export)")
    _add_places(export)

    collect = _add(
        commands, "collect", _collect, "add the finished runs of a store to the tidy files of a results folder"
    )
    _add_places(collect)

    text = "what data sets there are, whether they are what the paper used, and how they are split"
    data = commands.add_parser("data", help=text, description=f"{text[0].upper()}{text[1:]}.")
    actions = data.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_sources(_add(actions, "list", _data_list, "what is here, from where, with checksums"))
    get = _add(actions, "get", _data_get, "download and process data sets, as far as they are not here")
    get.add_argument(
        "--trust", metavar="SHA256", help="open a file that can run code, whose checksum the project does not know"
    )
    _add_sources(get)
    _add_sources(_add(actions, "check", _data_check, "measure data sets against Table S1"))
    splits = _add(actions, "splits", _data_splits, "write the splits of each seed as CSV files")
    splits.add_argument("--seeds", type=_count, default=20, metavar="N", help="of the first N seeds (default: 20)")
    splits.add_argument("--to", type=Path, default=Path("splits"), metavar="DIR", help="folder (default: splits)")
    _add_sources(splits)
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


def _add_form(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=FORMS, default="screen", help="default: screen")
    _add_fidelity(parser)


def _add_fidelity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fidelity",
        choices=["paper", "released_code"],
        default="paper",
        help="of which runs; the two never mix (default: paper)",
    )


def _add_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("datasets", nargs="*", metavar="DATASET", help="default: all")
    parser.add_argument("--mirror", help="folder with raw files (default: the environment's RETHINKING_DATA)")
    parser.add_argument("--cache", help="folder for processed data (default: RETHINKING_CACHE, else the user's cache)")


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 1")
    return int(text)


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs", type=Path, default=paths.DEFAULT_RUNS, metavar="DIR", help="run store (default: runs)"
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=paths.DEFAULT_RESULTS,
        metavar="DIR",
        help=RESULTS,
    )


def _status(parsed: argparse.Namespace) -> int:
    from rethinking.commands.status import status

    return status(parsed.suites, parsed.runs, parsed.results)


def _reproduce(parsed: argparse.Namespace) -> int:
    from rethinking.commands.reproduce import reproduce

    return reproduce(parsed.suite, parsed.overrides, parsed.results)


def _table(parsed: argparse.Namespace) -> int:
    from rethinking.commands.table import print_tables

    return print_tables(parsed.names, parsed.format, parsed.fidelity, parsed.runs, parsed.results)


def _compare(parsed: argparse.Namespace) -> int:
    from rethinking.commands.compare import compare_runs

    return compare_runs(
        parsed.runs,
        parsed.results,
        parsed.format,
        parsed.fidelity,
        parsed.dataset,
        parsed.family,
        parsed.margin,
        parsed.reference,
    )


def _figure(parsed: argparse.Namespace) -> int:
    from rethinking.commands.figure import write_figures

    return write_figures(parsed.names, parsed.fidelity, parsed.to, parsed.runs, parsed.results)


def _report(parsed: argparse.Namespace) -> int:
    from rethinking.commands.report import write

    return write(parsed.to, parsed.fidelity, parsed.runs, parsed.results)


def _export(parsed: argparse.Namespace) -> int:
    from rethinking.commands.export import export_frames

    return export_frames(parsed.to, parsed.runs, parsed.results)


def _collect(parsed: argparse.Namespace) -> int:
    from rethinking.commands.collect import collect_runs

    return collect_runs(parsed.runs, parsed.results)


def _data_list(parsed: argparse.Namespace) -> int:
    from rethinking.commands.data import list_datasets

    return list_datasets(parsed.datasets, _sources(parsed))


def _data_get(parsed: argparse.Namespace) -> int:
    from rethinking.commands.data import get_datasets

    return get_datasets(parsed.datasets, parsed.trust, _sources(parsed))


def _data_check(parsed: argparse.Namespace) -> int:
    from rethinking.commands.data import check_datasets

    return check_datasets(parsed.datasets, _sources(parsed))


def _data_splits(parsed: argparse.Namespace) -> int:
    from rethinking.commands.data import write_splits

    return write_splits(parsed.datasets, parsed.seeds, parsed.to, _sources(parsed))


def _sources(parsed: argparse.Namespace) -> "Places":
    from rethinking.data.sources import Places

    return Places(parsed.mirror, parsed.cache)
