"""The section of the leaderboard: which published pooling operators matter?"""

from rethinking.analysis.figures import draw
from rethinking.analysis.leaderboard import leaderboard, leaderboard_notes, leaderboard_texts, leaderboards, summary
from rethinking.analysis.report.page import Section, page_picture, page_table
from rethinking.analysis.suites import load_suite
from rethinking.analysis.tidy import Results

INTRODUCTION = (
    "Pooling operators of libraries in one plain network, each beside its own clusters made of other nodes, random "
    "ones, and no pooling layer. They are compared with their own twins only, and are no part of the sentence on top. "
    "Their runs are not listed below; the command rethinking export has them."
)


def leaderboard_sections(results: Results, fidelity: str) -> list[Section]:
    """One for each suite of operators; it says so where nothing was trained."""
    sections = []
    for name in leaderboards():
        suite = load_suite(name)
        board = leaderboard(suite, results, fidelity)
        tables, pictures = [], []
        if board.comparisons:
            texts = leaderboard_texts(board)
            tables.append(page_table("Each operator against its controls", texts, folded=True))
            # A suite of somebody's own need not be a figure.
            pictures += [page_picture(draw(suite.figure, results, fidelity))] if suite.figure else []
        words = [summary(board), INTRODUCTION]
        sections.append(Section(name, suite.title, words, tables, pictures, leaderboard_notes(board)))
    return sections
