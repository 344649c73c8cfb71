"""The command line: `rethinking COMMAND …`. What a command does lives in `rethinking/commands/`.

It is named here as MODULE:FUNCTION and imported when it is called: help, refusals and tab completion need not wait for
torch. Arguments have the names of the function's parameters.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rethinking import __version__, paths
from rethinking.errors import UserError

if TYPE_CHECKING:
    from argparse import _SubParsersAction as Commands

DESCRIPTION = "Does my graph pooling really matter? Train pooling variants, and compare local with non-local pooling."
INTERRUPTED = 130
# What is there to be named, as help says it; a test holds it against the files.
STUDIES = "src_autoencoder, src_spectral"
SUITES = (
    "table1, table2, table3, tableS5, figure1, …, figure8, figureS1, control, gcb, poolers, src_classification, "
    f"{STUDIES}"
)
FIGURES = f"1, …, 8, S1, poolers, verdicts, answer, locality, calibration, {STUDIES}"


def entry_point() -> None:
    """What the console script calls."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns the exit status: 0 done, 1 some runs failed, 2 bad input, 3 some runs left to another process,
    130 interrupted, 143 told to end (SIGTERM).
    """
    try:
        status = _dispatch(list(arguments))
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"rethinking: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # as in `rethinking table 1 | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would complain when it closes it.
        return 0
    except KeyboardInterrupt as error:
        print(
            "rethinking: interrupted. Finished runs are kept, and what trained goes on after its last whole epoch; the "
            "same command does the rest.",
            file=sys.stderr,
        )
        return getattr(error, "status", INTERRUPTED)


def _dispatch(arguments: list[str]) -> int:
    if arguments[:1] == ["run"]:
        # Everything after `run` is Hydra's.
        from rethinking.commands.run import main as run

        return run(arguments[1:])
    if arguments[:2] == ["-sc", "query=bash"]:
        from rethinking.commands.completion import answer

        return answer(arguments)
    parser = command_line()
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser, always_complete_options=False)
    given = vars(parser.parse_args(arguments))
    with paths.own_configuration(given.pop("config_dir", None)):
        if "mirror" in given:
            from rethinking.data.sources import Places

            given["places"] = Places(given.pop("mirror"), given.pop("cache"))
        if given.get("results", ...) is None:
            given["results"] = paths.results_to_show(given["runs"])
        return resolve(given.pop("target"))(**given)


def resolve(target: str) -> Callable[..., int]:
    """The function that is named as MODULE:FUNCTION."""
    module, _, function = target.partition(":")
    return getattr(import_module(f"rethinking.commands.{module}"), function)


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Refuse bad usage."""
        raise UserError(f"{message}; see {self.prog} --help.")

    _mixing = False

    def parse_known_args(self, args=None, namespace=None):
        """As argparse's, but words and options in any order, as Hydra takes them.

        What a command does not know is refused by that command, which names its own help.
        """
        if self._subparsers is None and not self._mixing:
            self._mixing = True
            try:
                parsed, unknown = self.parse_known_intermixed_args(args, namespace)
            finally:
                self._mixing = False
        else:
            parsed, unknown = super().parse_known_args(args, namespace)
        if unknown and not self._mixing:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed, unknown


def command_line() -> Parser:
    """All commands with their arguments."""
    parser = Parser(prog="rethinking", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"rethinking {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    text = "train the cells of a table: rethinking run -m model=… pooling=… dataset=… (see run --help)"
    run = commands.add_parser("run", help=text, add_help=False, prefix_chars="\0")  # `-m` is a word like others here.
    run.add_argument("words", nargs="*").completer = _ask_hydra  # type: ignore[attr-defined]

    text = "train what a table or figure still lacks, then render it"
    reproduce = _add(commands, "reproduce", "reproduce:reproduce", text)
    reproduce.add_argument("name", metavar="SUITE", help=SUITES)
    reproduce.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for run: device=cuda, runs=DIR, …")
    _add_folder(reproduce, "results", paths.DEFAULT_RESULTS, "collected results")
    _add_own(reproduce)

    status = _add(commands, "status", "status:status", "what is done, running, failed and missing in a run store")
    text = f"say what these lack, with exit status 1 if anything (default: the paper's tables): {SUITES}"
    status.add_argument("suites", nargs="*", metavar="SUITE", help=text)
    status.add_argument("--failed", action="store_true", help="only say why runs failed, with exit status 1 if any did")
    status.add_argument("--watch", action="store_true", help="show how it goes on, until all is done or Ctrl-C")
    _add_stores(status, read=True)

    table = _add(commands, "table", "table:print_tables", "render a table of the paper from finished runs")
    table.add_argument("names", nargs="+", metavar="NAME", help="which, as in the paper: 1, 2, 3, S1 … S5; or a suite")
    _add_form(table)
    _add_fidelity(table)
    _add_stores(table, shows=True)

    text = "does local pooling matter? differences, intervals, verdicts"
    compare = _add(commands, "compare", "compare:compare_runs", text)
    text = (
        "two cells in quotes and what both have in common, 'model=graclus pooling=complement' 'model=global_mean "
        "pooling=none' dataset=nci1 (default: each non-local variant with the local one); compare.KEY=VALUE for a key "
        "of conf/compare.yaml, such as compare.reference=none: is pooling needed at all?"
    )
    compare.add_argument("words", nargs="*", metavar="WORD", help=text)
    _add_several(
        compare,
        "--dataset",
        "datasets",
        "NAME",
        "of these data sets (default: all but the `left_out` of conf/compare.yaml)",
    )
    _add_several(compare, "--family", "families", "NAME", "of these families (default: all)")
    _add_several(compare, "--margin", "margins", "METRIC=VALUE", "another margin, such as accuracy=0.02")
    _add_form(compare)
    _add_fidelity(compare)
    _add_stores(compare, shows=True)

    text = "does a pooling operator matter? it against its own shuffled, random and other twins, and no pooling"
    check = _add(commands, "check", "check:check", text)
    text = (
        "operators, as files of conf/pooler (pyg/TopKPooling, tgp/mincut) or as import paths (my_package.MyPool), and "
        "KEY=VALUE as for run: dataset=nci1,proteins, ratio=0.25,0.5, seeds=10 (default: until decided), "
        "controls=shuffled,random (default: all), runs=DIR (default: checks)"
    )
    check.add_argument("words", nargs="+", metavar="WORD", help=text)
    text = (
        "beside the verdict, what each operator keeps of features, structure, differences and neighbourhoods, and what "
        "it costs: brief (a minute or so an operator), full (hours) or experiments, see docs/check.md (default: none)"
    )
    check.add_argument("--scorecard", dest="size", metavar="SIZE", help=text)
    text = "the page that it writes (default: check.html)"
    check.add_argument("--to", type=_file, dest="path", default=Path("check.html"), metavar="FILE", help=text)
    _add_form(check)
    _add_own(check)

    text = "what pooling operators keep of graphs and what they cost, without training them on a data set"
    scorecard = _add(commands, "scorecard", "scorecard:scorecard", text)
    text = (
        "operators as for check, and KEY=VALUE: pooler.operator.KEY=VALUE, runs=DIR (default: the eight that "
        "Grattarola et al. 2022 compare)"
    )
    scorecard.add_argument("words", nargs="*", metavar="WORD", help=text)
    text = "brief (a minute or so an operator), experiments (both of that publication: hours), full (default: brief)"
    scorecard.add_argument("--size", default="brief", metavar="SIZE", help=text)
    text = "the page that it writes (default: scorecard.html)"
    scorecard.add_argument("--to", type=_file, dest="path", default=Path("scorecard.html"), metavar="FILE", help=text)
    _add_form(scorecard)
    _add_own(scorecard)

    figure = _add(commands, "figure", "figure:write_figures", "draw figures of the paper, as PNG and SVG")
    figure.add_argument("names", nargs="*", metavar="NAME", help=f"{FIGURES} (default: all)")
    _add_folder(figure, "folder", paths.DEFAULT_FIGURES, option="--to")
    _add_fidelity(figure)
    _add_stores(figure, shows=True)

    report = _add(commands, "report", "report:write", "one page of HTML: verdict, tables, figures, runs")
    report.add_argument(
        "--to", type=_file, dest="path", default=Path("report.html"), metavar="FILE", help="default: report.html"
    )
    _add_fidelity(report)
    _add_stores(report, shows=True)

    text = "tidy data frames as CSV and Parquet, with a data dictionary"
    export = _add(commands, "export", "export:export_frames", text)
    _add_folder(export, "folder", Path("export"), option="--to")
    _add_stores(export, shows=True)

    text = "add the finished runs of a store to the tidy files of a results folder"
    _add_stores(_add(commands, "collect", "collect:collect_runs", text))

    text = "add the runs of another store, or of somebody's results, to those here; nothing if any is here as another"
    imports = _add(commands, "import", "importing:import_runs", text)
    imports.add_argument(
        "source", type=_place, metavar="DIR", help="a run store or a results folder; changed by nothing"
    )
    _add_stores(imports)

    text = "check the files of results or of a run store, and train some of its runs again to compare"
    verify = _add(commands, "verify", "verify:verify", text)
    text = "a results folder or a run store (default: results)"
    verify.add_argument("folder", nargs="?", type=_place, default=paths.DEFAULT_RESULTS, metavar="FOLDER", help=text)
    text = "how many runs are trained again, 0 for none (default: `sample` of conf/verify.yaml)"
    verify.add_argument("--sample", type=_whole, metavar="N", help=text)
    text = "names the draw, so that it can be repeated (default: a new one, which is said)"
    verify.add_argument("--seed", type=_whole, metavar="S", help=text)
    text = (
        "train each run with all the seeds that it trained with: to the last bit, and as much longer as they are many"
    )
    verify.add_argument("--exact", action="store_true", help=text)
    _add_several(verify, "--dataset", "datasets", "NAME", "draw of these data sets (default: all)")
    _add_several(verify, "--family", "families", "NAME", "draw of these families (default: all)")
    text = "a folder with the splits of one's own that runs were trained on, as for run"
    verify.add_argument("--splits", type=_place, metavar="DIR", help=text)
    _add_own(verify)

    text = "what data sets there are, whether they are what the paper used, and how they are split"
    data = commands.add_parser("data", help=text, description=f"{text[0].upper()}{text[1:]}.")
    actions = data.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_sources(_add(actions, "list", "data:list_datasets", "what is here, from where, with checksums"))
    text = "download and process data sets, as far as they are not here"
    get = _add(actions, "get", "data:get_datasets", text)
    text = "open a file that can run code, whose checksum the project does not know"
    get.add_argument("--trust", dest="trusted", metavar="SHA256", help=text)
    _add_sources(get)
    _add_sources(_add(actions, "check", "data:check_datasets", "measure data sets against Table S1"))
    splits = _add(actions, "splits", "data:write_splits", "write the splits of each seed as CSV files")
    splits.add_argument("--seeds", type=_count, default=20, metavar="N", help="of the first N seeds (default: 20)")
    _add_folder(splits, "folder", Path("splits"), option="--to")
    _add_sources(splits)
    return parser


def _add(commands: "Commands[Parser]", name: str, target: str, text: str) -> Parser:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(target=target)
    return parser


def _add_several(parser: Parser, option: str, name: str, value: str, text: str) -> None:
    parser.add_argument(option, dest=name, nargs="+", default=[], metavar=value, help=text)


def _add_folder(
    parser: Parser, name: str, default: Path, text: str = "folder", option: str = "", read: bool = False
) -> None:
    text = f"{text} (default: {default}{f'; {paths.NONE} for none' if read else ''})"
    kind = _there if read else _place
    parser.add_argument(option or f"--{name}", dest=name, type=kind, default=default, metavar="DIR", help=text)


def _add_form(parser: Parser) -> None:
    forms = ["screen", "markdown", "latex", "html", "csv"]
    parser.add_argument("--format", dest="form", choices=forms, default="screen", help="default: screen")


def _add_fidelity(parser: Parser) -> None:
    text = "of which runs; the two never mix (default: paper)"
    parser.add_argument("--fidelity", choices=["paper", "released_code"], default="paper", help=text)


def _add_stores(parser: Parser, shows: bool = False, read: bool = False) -> None:
    """shows: whether the reference runs are shown where there are no others, see `paths.results_to_show`.

    read: whether nothing is written to them, so that one that is named has to be there; so it is if they are shown.
    """
    _add_folder(parser, "runs", paths.DEFAULT_RUNS, "run store", read=read or shows)
    if shows:
        text = (
            f"collected results (default: {paths.DEFAULT_RESULTS}, or the reference runs where no runs are here; "
            f"{paths.NONE} for none)"
        )
        parser.add_argument("--results", type=_there, metavar="DIR", help=text)
    else:
        _add_folder(parser, "results", paths.DEFAULT_RESULTS, "collected results", read=read)
    _add_own(parser)


def _add_own(parser: Parser) -> None:
    text = "a folder with configuration files of your own, as for run"
    parser.add_argument("--config-dir", metavar="DIR", help=text)


def _add_sources(parser: Parser) -> None:
    parser.add_argument("names", nargs="*", metavar="DATASET", help="default: all")
    parser.add_argument("--mirror", help="folder with raw files (default: the environment's RETHINKING_DATA)")
    parser.add_argument("--cache", help="folder for processed data (default: RETHINKING_CACHE, else the user's cache)")
    _add_own(parser)


def _place(text: str) -> Path:
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError("a name is expected, not an empty one")
    return Path(text).expanduser()


def _there(text: str) -> Path:
    """A folder to read from. A name mistyped would show other runs, or none, in place of those that were meant."""
    path = _place(text)
    if not path.is_dir() and text != paths.NONE:
        raise argparse.ArgumentTypeError(
            f"there is no folder {text}; expected one that runs or results are in, or {paths.NONE} for none at all"
        )
    return path


def _file(text: str) -> Path:
    """One that can be written when the work is done."""
    path = _place(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(
            f"{text} is a folder; the name of a file is expected, such as {text}/page.html"
        )
    return path


def _count(text: str) -> int:
    if _whole(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 1")
    return int(text)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 0")
    return int(text)


def _ask_hydra(**_: object) -> list[str]:
    from rethinking.commands.completion import hydra_words

    return hydra_words()
