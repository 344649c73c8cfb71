"""The sections of a page with the scorecards of operators."""

from collections.abc import Sequence

from rethinking.analysis.figures import scorecards as figures
from rethinking.analysis.figures import style
from rethinking.analysis.report.page import PageTable, Section, page_picture, page_table
from rethinking.analysis.scorecards import Card, Scored, of_operator, of_operators, problems
from rethinking.scorecard.card import EXPRESSIVE

INTRODUCTION = (
    "Pooling operators are measured by themselves, without a task: what they keep of graphs of which one knows what is "
    "there, and what they cost."
)
WORDS = [
    "What each operator does by itself, on graphs of which one knows what is there. Features: an autoencoder has the "
    "operator in its middle and rebuilds the coordinates of points; the less error, the more was kept. Structure: by "
    "how much the smoothness of signals changes from the graph to the pooled one (spectral distance), how dense that "
    "is, and the median weight of its edges.",
    "Clusters: how many are in use, of those that there are; the entropy of a node's row of S, 0 for one cluster, 1 "
    "for all alike; the share of edges inside clusters; the steps between two nodes of a cluster beside those between "
    "any two; and the share of nodes that are lost: neither in a cluster nor next to a node that is. Where the rows of "
    "S all have the same sum and features are sums of nodes' by S, graphs that differ still differ after pooling; "
    "elsewhere they need not.",
]
OF_PAIRS = (
    "WL pairs are graphs in two classes that the Weisfeiler-Leman test tells apart; half of them right is chance. They "
    "were made here and are not EXPWL1, so these are no published numbers."
)


def scorecard_sections(scored: Scored, tables: Sequence[PageTable] = ()) -> list[Section]:
    """One for all operators together, then one of each. tables: further ones of all together."""
    cards = scored.cards
    with style():
        costs = figures.costs(cards)
    together = [*tables, page_table("Each operator", of_operators(scored), tools=False, leads=["operator"])]
    drawn = [page_picture(costs)] if costs else []
    words = [*WORDS, *([OF_PAIRS] if any(EXPRESSIVE in card.parts for card in cards) else [])]
    return [
        Section("scorecard", "Scorecard", words, together, drawn, [*problems(cards), *scored.notes]),
        *(_of_one(card, f"scorecard-{number}") for number, card in enumerate(cards, 1)),
    ]


def _of_one(card: Card, id: str) -> Section:
    with style():
        drawn = [figures.rebuilt(card), figures.pooled(card)]
    pictures = [page_picture(picture) for picture in drawn if picture is not None]
    table = page_table("What was kept of each graph", of_operator(card), tools=False)
    return Section(id, f"Scorecard of {card.operator}", [], [table], pictures)
