"""`make results`: what the runs in results/ say, written between the markers of README.md, so that nobody types it."""

from pathlib import Path

from rethinking import paths
from rethinking.analysis.comparisons import compare
from rethinking.analysis.controls import control_texts, controls
from rethinking.analysis.leaderboard import leaderboard, leaderboards, summary
from rethinking.analysis.overall import overall
from rethinking.analysis.questions import question
from rethinking.analysis.suites import load_suite
from rethinking.analysis.tidy import Results, read_results
from rethinking.analysis.wording import sentence
from rethinking.configuration.cell import PAPER
from rethinking.errors import UserError
from rethinking.runs.replacement import replaced_file
from rethinking.runs.store import RunStore

PROJECT = paths.PACKAGE.parent
PAGE, RESULTS = PROJECT / "README.md", PROJECT / "results"
PICTURE = "figures/figure_answer.png"
BEGIN, END = "<!-- answer: written by make results, from results/ -->", "<!-- end of answer -->"


def main() -> None:
    """Rewrite the answer of README.md."""
    page = inserted(PAGE.read_text(encoding="utf-8"), answer(read()))
    with replaced_file(PAGE) as part:
        part.write_text(page, encoding="utf-8")
    print(f"{PAGE.name}: the answer is that of results/.")


def read(folder: Path = RESULTS) -> Results:
    """What is collected in a results folder, whatever there is in a store."""
    return read_results(RunStore(folder / "no runs"), folder)


def answer(results: Results) -> str:
    """The sentence, its picture, what was found where something is known beforehand, and leaderboards, as Markdown."""
    asked = question()
    made, _ = compare(results, asked)
    parts = [
        f"**{sentence(overall(made, asked), asked)}**",
        f"![The comparisons of each data set, with their mean]({RESULTS.name}/{PICTURE})",
    ]
    if known := controls(results, asked, PAPER):
        parts += [
            "Would a difference have been found? The same method on data sets of which something is known beforehand "
            f"(difference: non-local − local, with its {asked.confidence:.0%} interval):",
            control_texts(known, asked).to_markdown(index=False),
        ]
    for name in leaderboards():
        board = leaderboard(load_suite(name), results)
        if board.comparisons:
            parts.append(
                "Do published pooling operators do more than their own clusters made of other nodes, or random ones? "
                f"{summary(board)} [Each of them]({RESULTS.name}/{name}.md)."
            )
    return "\n\n".join(parts)


def inserted(page: str, text: str) -> str:
    """The page with a text between its markers. Raises UserError if these are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise UserError(f"{PAGE.name} lacks the lines {BEGIN} and {END}, between which the answer is written.")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


if __name__ == "__main__":
    main()
