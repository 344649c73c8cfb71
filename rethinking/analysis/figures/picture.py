"""What all figures share: how they look, how they are saved, and what is said below them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.figure import Figure

from rethinking.analysis.figures.colours import INK, Colour, variant_colour
from rethinking.analysis.scores import Scores, suite_scores
from rethinking.analysis.suites import Suite
from rethinking.analysis.tidy import Results
from rethinking.configuration.cell import Cell
from rethinking.configuration.composition import compose_cell
from rethinking.errors import UserError
from rethinking.tasks.task import Unit

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
FORMATS = ("png", "svg")


@dataclass(frozen=True)
class Picture:
    """A figure and what has to be said below it."""

    figure: Figure
    caption: str


@contextmanager
def style() -> Iterator[None]:
    """How pictures look, and that the same one gives the same file."""
    with sns.axes_style("whitegrid"), plt.rc_context({"svg.hashsalt": "rethinking", "svg.fonttype": "none"}):
        yield


def save(picture: Picture, folder: Path, name: str) -> list[Path]:
    """Write a picture in every format and close it. Returns the files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / f"{name}.{form}" for form in FORMATS]
        for file in files:
            # No date, so that the same runs give the same file.
            metadata = {"Date": None} if file.suffix == ".svg" else {}
            with style():
                picture.figure.savefig(file, dpi=150, bbox_inches="tight", metadata=metadata)
    except OSError as error:
        raise UserError(
            f"{folder}/{name} cannot be written ({error.strerror}); name another folder with --to."
        ) from error
    plt.close(picture.figure)
    return files


def say_within(figure: Figure, text: str, size: float = 7) -> None:
    """Write below the panels, in the picture itself, how it is read, for whoever sees it without a caption."""
    # A letter of this font is a bit wider than half its height, 72 points to the inch.
    letters = int(figure.get_figwidth() * 72 / (0.57 * size))
    lines = [line for part in text.split("\n") for line in wrap(part, letters)]
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=size, color=INK)


def score_label(of: str, unit: Unit) -> str:
    """What an axis of scores says. of: the part, such as `test`."""
    return f"{of} {unit.name}" + (", %" if unit.in_points else "")


def difference_label(unit: Unit) -> str:
    """What an axis of differences is in."""
    return f"points of {unit.name}" if unit.in_points else unit.name


def row_cell(suite: Suite, row: str, dataset: str, fidelity: str) -> Cell:
    """The cell of a row and column of a suite."""
    return compose_cell([*(suite.rows[row] or []), f"dataset={dataset}", f"fidelity={fidelity}"])


def column_scores(suite: Suite, dataset: str, results: Results, fidelity: str) -> dict[str, Scores]:
    """The scores of every row of a column."""
    return {row: suite_scores(row_cell(suite, row, dataset, fidelity), results, suite.seeds) for row in suite.rows}


def suite_colours(suite: Suite, dataset: str, fidelity: str) -> dict[str, Colour]:
    """The colour of every row of a suite, that of its variant."""
    return {row: variant_colour(row_cell(suite, row, dataset, fidelity).variant) for row in suite.rows}


def nothing_to_draw(suite: Suite, having: str = "", with_: str = "") -> UserError:
    """What is said where no run of a suite is there. having: what the runs need. with_: what they are trained with."""
    runs = f"runs with {having}" if having else "runs"
    command = f"rethinking reproduce {suite.name} {with_}".strip()
    return UserError(f"There are no {runs} for {suite.title.partition(':')[0]}; `{command}` trains them.")


def partial_text(missing: Sequence[str], few: Sequence[str]) -> str:
    """What a picture lacks. missing: cells without runs. few: cells with fewer seeds than wanted, and how many."""
    parts = []
    if missing:
        parts.append(f"not trained yet: {', '.join(missing)}")
    if few:
        parts.append(f"fewer seeds than wanted: {', '.join(few)}")
    return f" Partial: {'; '.join(parts)}." if parts else ""


def older_text(names: Sequence[str]) -> str:
    """What of a picture is of runs of schema 1."""
    return f" Of schema 1, without predictions: {', '.join(names)}." if names else ""
