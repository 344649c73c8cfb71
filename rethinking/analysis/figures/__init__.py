"""The paper's figures, and those it should have had, from stored runs.

Those of the paper, and of the leaderboard, are suites of `conf/suite` with a number or name and the name of the
function that draws them.
"""

from collections.abc import Callable

import matplotlib

from rethinking.analysis.figures.calibration import calibration
from rethinking.analysis.figures.curves import score_curves, validation_curves
from rethinking.analysis.figures.leaderboard import leaderboard_matrix
from rethinking.analysis.figures.locality import locality
from rethinking.analysis.figures.networks import activations_around_pooling, permuted
from rethinking.analysis.figures.picture import Picture, save, style
from rethinking.analysis.figures.scores import distributions, gaps
from rethinking.analysis.figures.verdicts import answer_in_brief, verdicts
from rethinking.analysis.suites import Suite, load_suite, suite_names
from rethinking.analysis.tidy import Results
from rethinking.configuration.cell import PAPER
from rethinking.errors import UserError
from rethinking.scorecard.settings import section

__all__ = ["Picture", "draw", "figure_names", "save", "score_curves", "style"]

# How the cells of a suite are drawn, by the key `drawn` of its file.
OF_A_SUITE: dict[str, Callable[[Suite, Results, str], Picture]] = {
    "distributions": distributions,
    "permuted": permuted,
    "activations": activations_around_pooling,
    "validation_curves": validation_curves,
    "gaps": gaps,
    "leaderboard": leaderboard_matrix,
}
# Of all comparisons, and of simulations.
OTHERS: dict[str, Callable[[Results, str], Picture]] = {
    "verdicts": verdicts,
    "answer": answer_in_brief,
    "locality": locality,
    "calibration": calibration,
}


def figure_names() -> list[str]:
    """The figures there are: those of suites, which for the paper's are numbers, and others."""
    return [*_suites(), *OTHERS]


def draw(name: str, results: Results, fidelity: str = PAPER) -> Picture:
    """A figure of the paper, by its number, or another. Raises UserError if there is none, or nothing to draw."""
    suites = _suites()
    if name not in (*suites, *OTHERS):
        known = [*suites, *OTHERS, *section("studies")]  # Studies are drawn elsewhere, for those who type their names.
        raise UserError(f"There is no figure '{name}'; expected one of {', '.join(known)}.")
    matplotlib.use("Agg")
    with style():
        if name in OTHERS:
            return OTHERS[name](results, fidelity)
        return OF_A_SUITE[suites[name].drawn](suites[name], results, fidelity)


def _suites() -> dict[str, Suite]:
    """The suites that are figures, by their numbers in the paper or names."""
    suites = map(load_suite, suite_names())
    return {suite.figure: suite for suite in suites if suite.figure}
