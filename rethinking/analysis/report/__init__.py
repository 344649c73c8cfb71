"""One self-contained HTML page: the answer in one sentence first, then what it rests on."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile

from jinja2 import Environment, PackageLoader, select_autoescape

from rethinking import __version__
from rethinking.analysis.inference.looks import weights
from rethinking.analysis.pairs import without_hosts
from rethinking.analysis.questions import Question, question
from rethinking.analysis.report import answers, evidence
from rethinking.analysis.report.leaderboard import leaderboard_sections
from rethinking.analysis.report.page import Section
from rethinking.analysis.tidy import Results
from rethinking.configuration.cell import PAPER
from rethinking.errors import UserError
from rethinking.runs.outcome import reason_of
from rethinking.runs.replacement import replaced_file

INTRODUCTION = (
    "Graph networks often pool: they merge neighbouring nodes into clusters, layer by layer. Here each network was "
    "trained with such local clusters, and again, on the same seeds, splits, initial weights and batches, with "
    "clusters that do not care who is whose neighbour (non-local). If pooling worked by keeping neighbours "
    "together, the second would be worse. A positive difference says that non-local is better; what is smaller than "
    "the margin does not matter."
)


def report(results: Results, fidelity: str = PAPER) -> str:
    """The page. Raises UserError if there are no runs of this fidelity."""
    if not (results.runs["fidelity"] == fidelity).any():
        raise UserError(f"There are no finished runs with fidelity={fidelity} to report; `rethinking run` trains some.")
    asked = question()
    boards = leaderboard_sections(results, fidelity)
    results = without_hosts(results, asked)
    runs = results.runs[results.runs["fidelity"] == fidelity]
    answer, comparisons = answers.verdict(results, fidelity, asked)
    sections = [
        comparisons,
        answers.sure(results, fidelity),
        answers.with_known_answer(results, fidelity, asked),
        answers.needed_at_all(results, fidelity, asked),
        *boards,
        evidence.tables(results, fidelity),
        evidence.figures(results, fidelity),
        evidence.curves(results, fidelity),
        evidence.clusters(runs),
        evidence.ledger(),
        evidence.runs(results, runs),
    ]
    heading = "Does local pooling matter here?"
    return render_page(heading, [answer], INTRODUCTION, sections, asked, results, fidelity)


def render_page(
    heading: str,
    answers: Sequence[str],
    introduction: str,
    sections: Sequence[Section | None],
    asked: Question,
    results: Results,
    fidelity: str = PAPER,
) -> str:
    """A page of sections, those that there are, under its answers in large."""
    environment = Environment(
        loader=PackageLoader("rethinking.analysis", "report"),
        autoescape=select_autoescape(["j2"]),
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["zip"] = zip
    return environment.get_template("report.html.j2").render(
        heading=heading,
        answers=answers,
        introduction=introduction,
        sections=[section for section in sections if section],
        asked=asked,
        looks=list(zip(asked.looks, weights(asked.looks), strict=True)),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        fidelity=fidelity,
        sources="; ".join([*results.sources, *results.left_out]),
    )


def check_place(path: Path) -> None:
    """Whether a page can be written there, for those who work long before. Raises UserError if it cannot."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _cannot_write(path, error) from error


def write_report(page: str, path: Path) -> None:
    """Write the page as a whole. Raises UserError if that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced_file(path) as part:
            part.write_text(page, encoding="utf-8")
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> UserError:
    return UserError(f"{path} cannot be written ({reason_of(error)}); name another file with --to.")
